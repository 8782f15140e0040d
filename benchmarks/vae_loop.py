"""Images a second of training a VAE (784-400-20, Bernoulli) against the loop of countless examples, and where both end.

    python benchmarks/vae_loop.py [--rounds 3] [--epochs 4] [--threads 2]

The usual loop: a DataLoader with ToTensor on each image, binary cross-entropy and KL summed over the batch, plain Adam. Same
digits, same batch size, the two in turn in one process; medians over rounds. Both are then judged by the same negative ELBO
on the same binarized test digits.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from training_loop import as_mnist_files

from autoencoders import data, evaluation, models, networks, objectives, training

SHAPE, LATENT = (1, 28, 28), 20


def fresh() -> models.VAE:
    torch.manual_seed(0)
    encoder, decoder = networks.MLPEncoder(SHAPE, 2 * LATENT), networks.MLPDecoder(SHAPE, LATENT)
    return models.VAE(encoder, decoder, models.BernoulliPixels(), LATENT)


def usual_loop(model: nn.Module, loader: DataLoader, epochs: int) -> None:
    """Gray values as soft targets, one sum over pixels, latents and batch."""
    encoder, decoder = model.encoder, model.decoder
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    digits = data.load("digits")
    images = digits.train.images

    def ours(model: models.VAE) -> None:
        training.fit(
            model,
            images,
            lambda m, x, generator: objectives.elbo_terms(m, x, generator, binary=True),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=1e-3,
            decay_from=1.0,
            device="cpu",
            progress=False,
        )

    with tempfile.TemporaryDirectory() as folder:
        dataset = as_mnist_files(Path(folder), images)
        loader = DataLoader(dataset, batch_size=arguments.batch_size, shuffle=True)
        ways = {"fit": ours, "usual": lambda model: usual_loop(model, loader, arguments.epochs)}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        bounds: dict[str, float] = {}
        for round_ in range(arguments.rounds + 1):  # the first warms up
            for name, train in ways.items():
                model = fresh()
                start = time.perf_counter()
                train(model)
                if round_:
                    seconds[name].append(time.perf_counter() - start)
                judge = lambda m, x, generator: objectives.elbo_terms(m, x, generator, samples=5, binary=True)  # noqa: E731
                bounds[name] = sum(evaluation.mean_terms(model.cpu(), digits.test.images, judge))
    rate = {name: arguments.epochs * len(images) / statistics.median(values) for name, values in seconds.items()}
    print(
        f"{len(images):,} digits, batch {arguments.batch_size}, {arguments.epochs} epochs, {arguments.threads} threads"
    )
    for name in ways:
        print(f"{name:6} {rate[name]:8,.0f} images/s   test negative ELBO {bounds[name]:.1f} nats")
    print(f"ratio  {rate['fit'] / rate['usual']:.2f}")


if __name__ == "__main__":
    main()
