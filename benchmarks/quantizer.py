"""A step of a moving-average codebook against vector-quantize-pytorch's, in time and memory; and a million nearest codes.

    python benchmarks/quantizer.py [--rounds 15] [--threads 1] [--device cpu] [--alone]

A step quantizes a map of 64 or 1024 images with 7x7 vectors of 64 numbers by 512 codes in training mode, takes the
gradient at the map (straight through, with a commitment loss of weight 0.25) and moves the codes. The peer, version 1.32.0,
gets the same start, decay and smoothing, with its rotation of gradients and its restarts off. It is installed beside
this environment's torch into a folder of the user's cache when it is first needed; `--alone` leaves it out. Both have
to agree on indices, gradients and moved codes. They run in turn; medians over rounds. Extra memory is what a fresh
process needs at its peak above what it held before the first step. Last: 10^6 vectors among 8,192 codes, all
offset by 30 with a spread of 1e-3, in extra memory, and how many of 2,000 agree with double precision.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from autoencoders import quantizers

CODES, WIDTH, SIDE, DECAY, SMOOTHING, COMMITMENT = 512, 64, 7, 0.99, 1e-5, 0.25
PEER = (
    "vector-quantize-pytorch==1.32.0",
    "einops==0.8.1",
    "einx==0.4.3",
    "frozendict",
    "loguru",
    "torch-einops-utils==0.2.0",
)
LARGE = (1_000_000, 8_192, 8)  # vectors, codes, numbers in each

Step = Callable[[Tensor, Tensor], Tensor]  # from a map and the gradient at its quantized values to the indices


def peer_folder() -> Path:
    """Where the peer is, without the torch that it would bring along; installed if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "autoencoders-benchmarks" / PEER[0].replace("==", "-")
    if not (folder / "vector_quantize_pytorch").is_dir():
        print(f"installing {PEER[0]} into {folder}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PEER]
        subprocess.run(command, check=True)
    return folder


def first_codes() -> Tensor:
    return 0.5 * torch.randn(CODES, WIDTH, generator=torch.Generator().manual_seed(1))


def our_step(device: str) -> tuple[Step, Callable[[], Tensor]]:
    codebook = quantizers.MovingAverageCodebook(CODES, WIDTH, decay=DECAY, smoothing=SMOOTHING)
    for buffer in (codebook.codes, codebook.sums):
        buffer.copy_(first_codes())
    codebook.to(device)

    def step(z: Tensor, gradient: Tensor) -> Tensor:
        z.grad = None
        found = codebook(z)
        ((found.values * gradient).sum() + COMMITMENT * found.commitment_loss.sum() / z.numel()).backward()
        return found.indices

    return step, lambda: codebook.codes


def peer_step(device: str) -> tuple[Step, Callable[[], Tensor]]:
    sys.path.append(str(peer_folder()))
    from vector_quantize_pytorch import VectorQuantize

    quantizer = VectorQuantize(
        WIDTH,
        CODES,
        decay=DECAY,
        eps=SMOOTHING,
        threshold_ema_dead_code=0,
        commitment_weight=COMMITMENT,
        rotation_trick=False,
        accept_image_fmap=True,
    )
    inner = quantizer._codebook
    for buffer in (inner.embed, inner.embed_avg):
        buffer.data.copy_(first_codes()[None])
    quantizer.to(device)

    def step(z: Tensor, gradient: Tensor) -> Tensor:
        z.grad = None
        values, indices, loss = quantizer(z)
        ((values * gradient).sum() + loss.sum()).backward()
        return indices

    return step, lambda: inner.embed[0]


WAYS = {"ours": our_step, "peer": peer_step}


def maps(images: int, device: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z, gradient = (torch.randn(images, WIDTH, SIDE, SIDE, generator=generator) for _ in range(2))
    return z.to(device).requires_grad_(), gradient.to(device)


def agree(images: int, device: str) -> None:
    """Both do the same work: compare a first step.

    Raises:
        SystemExit: they differ.
    """
    z, gradient = maps(images, device)
    found = []
    for start in WAYS.values():
        step, codes = start(device)
        found.append((step(z, gradient), z.grad, codes()))
    (ours, our_gradient, our_codes), (peers, peer_gradient, peer_codes) = found
    same = (ours == peers).float().mean().item()
    gradients, codes = (
        a.sub(b).abs().max().item() for a, b in ((our_gradient, peer_gradient), (our_codes, peer_codes))
    )
    print(
        f"{100 * same:.2f} % of codes agree; largest difference of gradients {gradients:.1e}, of moved codes {codes:.1e}"
    )
    if same < 0.999 or gradients > 1e-4 or codes > 1e-2:
        raise SystemExit("the two do not do the same work")


def seconds(ways: list[str], images: int, rounds: int, device: str) -> dict[str, float]:
    z, gradient = maps(images, device)
    steps = {way: WAYS[way](device)[0] for way in ways}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for round_ in range(rounds + 2):  # two warm up
        for way, step in steps.items():
            start = time.perf_counter()
            step(z, gradient)
            if device != "cpu":
                torch.cuda.synchronize()
            if round_ > 1:
                taken[way].append(time.perf_counter() - start)
    return {way: statistics.median(values) for way, values in taken.items()}


def extra(act: Callable[[], object], device: str) -> float:
    """Peak megabytes of `act` above what was held before it."""
    if device != "cpu":
        held = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        act()
        return (torch.cuda.max_memory_allocated() - held) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from now on
    held = resident("VmRSS")
    act()
    return resident("VmHWM") - held


def resident(which: str) -> float:
    """Megabytes of this process in memory: VmRSS now, VmHWM at the peak (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith(which))


def measure_memory(way: str, images: int, device: str) -> None:
    """In a process of its own: print the extra megabytes of three steps after one on a small map."""
    step = WAYS[way](device)[0]
    step(*maps(1, device))
    z, gradient = maps(images, device)
    print(f"megabytes {extra(lambda: [step(z, gradient) for _ in range(3)], device)}")


def measure_large(device: str) -> None:
    n, k, width = LARGE
    generator = torch.Generator().manual_seed(0)
    quantizers.nearest_code(*(torch.randn(64, width, device=device) for _ in range(2)))
    z, codes = ((30 + 1e-3 * torch.randn(rows, width, generator=generator)).to(device) for rows in (n, k))
    found: list[Tensor] = []
    start = time.perf_counter()
    megabytes = extra(lambda: found.append(quantizers.nearest_code(z, codes)), device)
    took = time.perf_counter() - start
    some = z[:: n // 2000].double()
    exact = torch.cat([(part[:, None] - codes.double()).square().sum(2).argmin(1) for part in some.split(50)])
    same = (found[0][:: n // 2000] == exact).float().mean().item()
    print(
        f"{n:,} vectors, {k:,} codes: {took:.1f} s, {megabytes:.0f} MB extra, {100 * same:.2f} % as in double precision"
    )


def fresh_process(arguments: argparse.Namespace, *more: str) -> str:
    command = [sys.executable, __file__, "--threads", str(arguments.threads), "--device", arguments.device, *more]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--memory", nargs=2, metavar=("WAY", "IMAGES"), help=argparse.SUPPRESS)
    parser.add_argument("--large", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory:
        return measure_memory(arguments.memory[0], int(arguments.memory[1]), arguments.device)
    if arguments.large:
        return measure_large(arguments.device)
    ways = ["ours"] if arguments.alone else list(WAYS)
    for images in (64, 1024):
        print(f"{images} maps of {SIDE}x{SIDE} vectors of {WIDTH} numbers, {CODES} codes, {arguments.threads} threads")
        if not arguments.alone:
            agree(images, arguments.device)
        took = seconds(ways, images, arguments.rounds, arguments.device)
        for way in ways:
            said = fresh_process(arguments, "--memory", way, str(images))
            megabytes = float(said.split("megabytes")[-1])
            ratio = f"ours is {took[way] / took['ours']:.2f} times as fast" if way != "ours" else ""
            print(f"{way:6} {1e3 * took[way]:8.1f} ms a step   {megabytes:7.0f} MB extra   {ratio}")
    print(fresh_process(arguments, "--large"), end="")
    return None


if __name__ == "__main__":
    sys.exit(main())
