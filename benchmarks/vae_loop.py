"""Images a second of training a VAE (784-400-20, Bernoulli) against the loop of countless examples, and where both end.

    python benchmarks/vae_loop.py [--rounds 3] [--epochs 4] [--threads 2] [--pythae ENVIRONMENT/bin/python]

All see the same digits, binarized once, in batches of one size, with Adam at one rate. The usual loop has a DataLoader with
ToTensor on each image, binary cross-entropy and KL summed over the batch, plain Adam. With `--pythae`, the Python of an
environment that has pythae 0.1.2 and torch, its trainer takes part. They train in turn; medians over rounds. All are then
judged by the same negative ELBO on the same binarized test digits.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from training_loop import as_mnist_files

from autoencoders import data, evaluation, models, networks, objectives, training

SHAPE, LATENT, RATE = (1, 28, 28), 20, 1e-3
WORKER = Path(__file__).with_name("_pythae_worker.py")


def fresh() -> models.VAE:
    torch.manual_seed(0)
    encoder, decoder = networks.MLPEncoder(SHAPE, 2 * LATENT), networks.MLPDecoder(SHAPE, LATENT)
    return models.VAE(encoder, decoder, models.BernoulliPixels(), LATENT)


def usual_loop(model: nn.Module, loader: DataLoader, epochs: int) -> None:
    encoder, decoder = model.encoder, model.decoder
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    model.train()
    for _ in range(epochs):
        for x, _ in loader:
            optimizer.zero_grad()
            mean, log_var = encoder(x).chunk(2, 1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            rebuilt = torch.sigmoid(decoder(z)).flatten(1)
            error = F.binary_cross_entropy(rebuilt, x.flatten(1), reduction="sum")
            loss = error - 0.5 * torch.sum(1 + log_var - mean**2 - log_var.exp())
            loss.backward()
            loss.item()
            optimizer.step()


def pythae(python: str, folder: Path, images: Tensor, model: models.VAE, arguments: argparse.Namespace) -> float:
    """Train there, copy the weights into `model`, and return the seconds that the training took."""
    np.save(folder / "images.npy", images.numpy())
    numbers = map(str, (arguments.epochs, arguments.batch_size, RATE, arguments.threads))
    command = [python, str(WORKER), str(folder / "images.npy"), *numbers, str(folder / "weights.npz")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    weights = np.load(folder / "weights.npz")
    layers = ("encoder.hidden", "encoder.both", "decoder.hidden", "decoder.pixels")
    names = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    with torch.no_grad():
        for parameter, name in zip(model.parameters(), names, strict=True):
            parameter.copy_(torch.from_numpy(weights[name]).reshape(parameter.shape))
    return float(said.split("seconds")[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--pythae", metavar="PYTHON", default="")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    digits = data.load("digits")
    generator = torch.Generator().manual_seed(0)
    images, test = (objectives.binarize(part.images, generator) for part in (digits.train, digits.test))

    def ours(model: models.VAE) -> None:
        training.fit(
            model,
            images,
            objectives.elbo_terms,
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=RATE,
            decay_from=1.0,
            device="cpu",
            progress=False,
        )

    def timed(train: Callable[[models.VAE], None], model: models.VAE) -> float:
        start = time.perf_counter()
        train(model)
        return time.perf_counter() - start

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loader = DataLoader(as_mnist_files(folder, images), batch_size=arguments.batch_size, shuffle=True)
        ways = {
            "fit": lambda model: timed(ours, model),
            "usual": lambda model: timed(lambda m: usual_loop(m, loader, arguments.epochs), model),
        }
        if arguments.pythae:
            ways["pythae"] = lambda model: pythae(arguments.pythae, folder, images, model, arguments)
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        bounds: dict[str, float] = {}
        for round_ in range(arguments.rounds + 1):  # the first warms up
            for way, train in ways.items():
                model = fresh()
                took = train(model)
                if round_:
                    seconds[way].append(took)
                judge = lambda m, x, generator: objectives.elbo_terms(m, x, generator, samples=5)  # noqa: E731
                bounds[way] = sum(evaluation.mean_terms(model.cpu(), test, judge))
    speed = {way: arguments.epochs * len(images) / statistics.median(values) for way, values in seconds.items()}
    print(
        f"{len(images):,} digits, batch {arguments.batch_size}, {arguments.epochs} epochs, {arguments.threads} threads"
    )
    for way in ways:
        ratio = f"fit is {speed['fit'] / speed[way]:.2f} times as fast" if way != "fit" else ""
        print(f"{way:6} {speed[way]:8,.0f} images/s   test negative ELBO {bounds[way]:.1f} nats   {ratio}")


if __name__ == "__main__":
    sys.exit(main())
