"""How many sprites a second the renderer draws on one thread: the bar is 50,000 at 32 x 32, over the full grid of factors.

    python benchmarks/sprites.py [--rounds 9] [--count 20000]

Each round draws `count` random pictures of the full grid (three shapes, six scales, 40 orientations, 32 x 32 places) at
16 x 16, 32 x 32 and 64 x 64 pixels, in one call, and a twentieth of them one picture a call, in turn. Medians over rounds.
"""

import argparse
import statistics
import time

import torch

from autoencoders import sprites

SIZES = (16, 32, 64)


def seconds(grid: sprites.Grid, index: torch.Tensor, at_once: int) -> float:
    """Seconds a picture."""
    start = time.perf_counter()
    for part in index.split(at_once):
        grid.images(part)
    return (time.perf_counter() - start) / len(index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, default=20_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    times: dict[tuple[int, str], list[float]] = {(size, how): [] for size in SIZES for how in ("together", "singly")}
    for turn in range(arguments.rounds + 1):  # the first warms up
        for size in SIZES:
            grid = sprites.Grid(size=size)
            generator = torch.Generator().manual_seed(turn)
            index = torch.randint(len(grid), (arguments.count,), generator=generator)
            found = {
                "together": seconds(grid, index, arguments.count),
                "singly": seconds(grid, index[: arguments.count // 20], 1),
            }
            for how, value in found.items():
                times[size, how] += [value] * (turn > 0)
    print(
        f"pictures a second on one thread, {arguments.count:,} of {len(sprites.Grid()):,}, medians of {arguments.rounds}"
    )
    for size in SIZES:
        together, singly = (statistics.median(times[size, how]) for how in ("together", "singly"))
        print(
            f"{size} x {size}: {1 / together:10,.0f} in one call, {1 / singly:8,.0f} one by one, {singly / together:.0f} times"
        )


if __name__ == "__main__":
    main()
