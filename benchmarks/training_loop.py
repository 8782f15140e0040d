"""Images a second of `training.fit` against the usual torchvision loop: DataLoader, ToTensor on each image, plain Adam.

    python benchmarks/training_loop.py [--rounds 5] [--epochs 2] [--threads 2]

Both train the same models on the same 8,000 digits with the same batch size, in turn, in one process; medians over rounds.
"""

import argparse
import statistics
import struct
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from autoencoders import data, models, networks, objectives, training


def as_mnist_files(folder: Path, images: torch.Tensor) -> MNIST:
    """The digits in MNIST's own file format, opened by torchvision's own class."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = (images * 255).round().byte().numpy()
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 2051, len(pixels), 28, 28) + pixels.tobytes()
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, len(pixels)) + bytes(len(pixels)))
    return MNIST(folder, train=True, transform=ToTensor())


def usual_loop(model: models.Autoencoder, dataset: MNIST, epochs: int, batch_size: int) -> None:
    """The training loop of countless tutorials."""
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.train()
    for _ in range(epochs):
        for x, _ in loader:
            optimizer.zero_grad()
            loss = objectives.reconstruction_terms(model, x).total().mean()
            loss.backward()
            optimizer.step()
            loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    images = data.load("digits").train.images
    shape = (1, 28, 28)
    pairs = {
        "MLP 784-256-16": (partial(networks.MLPEncoder, hidden=(256,)), partial(networks.MLPDecoder, hidden=(256,))),
        "convolutional 16-32": (networks.ConvEncoder, networks.ConvDecoder),
    }
    print(
        f"{len(images):,} images, batch {arguments.batch_size}, {arguments.threads} threads, {arguments.rounds} rounds"
    )
    with tempfile.TemporaryDirectory() as folder:
        dataset = as_mnist_files(Path(folder), images)
        for name, (encoder, decoder) in pairs.items():
            seconds: dict[str, list[float]] = {"fit": [], "usual": []}
            for round_ in range(arguments.rounds + 1):
                for which in ("fit", "usual"):
                    torch.manual_seed(0)
                    model = models.Autoencoder(encoder(shape, 16), decoder(shape, 16))
                    start = time.perf_counter()
                    if which == "fit":
                        training.fit(
                            model,
                            images,
                            objectives.reconstruction_terms,
                            epochs=arguments.epochs,
                            batch_size=arguments.batch_size,
                            device="cpu",
                            progress=False,
                        )
                    else:
                        usual_loop(model, dataset, arguments.epochs, arguments.batch_size)
                    if round_:  # the first round warms up
                        seconds[which].append(time.perf_counter() - start)
            rate = {k: arguments.epochs * len(images) / statistics.median(v) for k, v in seconds.items()}
            ratio = statistics.median(u / f for u, f in zip(seconds["usual"], seconds["fit"], strict=True))
            print(f"{name:22} fit {rate['fit']:8,.0f}/s   usual {rate['usual']:8,.0f}/s   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
