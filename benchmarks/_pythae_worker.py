"""The pythae side of `vae_loop.py`; runs in an environment that has pythae 0.1.2 and torch, and answers on standard output.

    python _pythae_worker.py IMAGES.npy EPOCHS BATCH LEARNING_RATE THREADS WEIGHTS.npz

Trains pythae's VAE (784-400-20, binary cross-entropy) by its own trainer, prints the seconds and leaves the weights.
"""

import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn


def main(images: str, epochs: str, batch: str, rate: str, threads: str, weights: str) -> None:
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.both = nn.Linear(784, 400), nn.Linear(400, 40)

        def forward(self, x):
            mean, log_var = self.both(torch.relu(self.hidden(x.flatten(1)))).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.pixels = nn.Linear(20, 400), nn.Linear(400, 784)

        def forward(self, z):
            return ModelOutput(
                reconstruction=torch.sigmoid(self.pixels(torch.relu(self.hidden(z)))).view(-1, 1, 28, 28)
            )

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=20, reconstruction_loss="bce")
    model = VAE(config, Encoder(), Decoder())
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=int(epochs),
            per_device_train_batch_size=int(batch),
            learning_rate=float(rate),
            optimizer_cls="Adam",
            no_cuda=True,
            keep_best_on_train=True,
        )
        start = time.perf_counter()
        TrainingPipeline(model=model, training_config=settings)(train_data=np.load(images))
        seconds = time.perf_counter() - start
    np.savez(weights, **{name: value.numpy() for name, value in model.cpu().state_dict().items()})
    print(f"seconds {seconds}")


if __name__ == "__main__":
    main(*sys.argv[1:])
