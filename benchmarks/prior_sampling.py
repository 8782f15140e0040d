"""Seconds to draw maps of codes from a prior: every feature kept once computed, against the whole network at each place.

    python benchmarks/prior_sampling.py [--rounds 3] [--samples 100] [--few 4] [--threads 1] [--transformer]

A PixelCNN of 64 channels and 5 layers over 128 codes, untrained, which costs the same. Both draw the same maps from one
seed, in turn; medians over rounds, after one that warms up where the naive way takes seconds. Where it takes minutes it is
run once. The small number of samples is there for all sizes: with `--samples` the naive way would take most of an hour.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from autoencoders import autoregressive


def timed(draw: Callable[..., Tensor], samples: int) -> tuple[float, Tensor]:
    generator = torch.Generator().manual_seed(0)
    start = time.perf_counter()
    drawn = draw(samples, generator=generator)
    return time.perf_counter() - start, drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=100, help="maps of 7 x 7")
    parser.add_argument("--few", type=int, default=4, help="maps of each size")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--transformer", action="store_true", help="a causal transformer, width 64, depth 2")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kind = autoregressive.CausalTransformer if arguments.transformer else autoregressive.PixelCNN
    print(f"{kind.__name__}, 128 codes, {arguments.threads} threads, {arguments.rounds} rounds")
    print(f"{'maps':>12} {'samples':>8} {'cached s':>9} {'naive s':>9} {'ratio':>7}")
    for side, samples in ((7, arguments.samples), (7, arguments.few), (16, arguments.few), (32, arguments.few)):
        torch.manual_seed(0)
        model = kind(128, (side, side))
        rounds = arguments.rounds if side == 7 else 1
        seconds: list[tuple[float, float]] = []
        for round_ in range(rounds + (side == 7)):  # the first round warms up
            cached, drawn = timed(model.sample, samples)
            naive, same = timed(model.sample_naively, samples)
            if not torch.equal(drawn, same):
                raise SystemExit(f"the two ways drew different maps of {side} x {side}")
            if round_ or side > 7:
                seconds.append((cached, naive))
        cached, naive = (statistics.median(column) for column in zip(*seconds, strict=True))
        ratio = statistics.median(naive / cached for cached, naive in seconds)
        print(f"{side:>7} x {side:<2} {samples:>8} {cached:9.3f} {naive:9.2f} {ratio:7.1f}", flush=True)


if __name__ == "__main__":
    main()
