"""A run as it went by: what a model made of fixed test images after each epoch, for the page to replay."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autoencoders.data import Dataset
from autoencoders.models import Model
from autoencoders.training import Progress


@dataclass(frozen=True)
class Recording:
    """A run as it went by: after each epoch, what the model made of fixed test images."""

    epochs: Int[Tensor, "e"]
    originals: Float[Tensor, "k c h w"]
    reconstructions: Float[Tensor, "e k c h w"]
    codes: Float[Tensor, "e p 2"]
    labels: Int[Tensor, "p"]


class Recorder:
    """A callback that keeps, after each epoch, eight reconstructions and the first two coordinates of 300 codes."""

    def __init__(self, images: Dataset, pictures: int = 8, points: int = 300) -> None:
        test = images.test
        self.originals, self.points, self.labels = test.images[:pictures], test.images[:points], test.labels[:points]
        self.frames: list[tuple[int, Tensor, Tensor]] = []

    @torch.no_grad()
    def __call__(self, now: Progress) -> None:
        training_mode = now.model.training
        now.model.eval()
        device = next(now.model.parameters()).device
        pictures = now.model(self.originals.to(device)).cpu()
        codes = cast(Model, now.model).codes(self.points.to(device)).cpu()
        if codes.shape[1] == 1:
            codes = torch.cat([codes, torch.zeros_like(codes)], 1)
        self.frames.append((now.epoch, pictures, codes[:, :2].clone()))
        now.model.train(training_mode)

    def recording(self) -> Recording:
        epochs, pictures, codes = zip(*self.frames, strict=True)
        return Recording(torch.tensor(epochs), self.originals, torch.stack(pictures), torch.stack(codes), self.labels)
