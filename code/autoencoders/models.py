"""The models of the book: compositions of an encoder and a decoder."""

from jaxtyping import Float
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """g(f(x)): an encoder f and a decoder g, trained together. Book: eq-compression-autoencoder.

    Both are deterministic functions, so `encode` and `decode` return plain tensors. With `mean`, a picture, the two work
    on what is left of the data without it, as PCA does: the encoder reads x - mean, the decoder's output is added to it.
    """

    mean: Float[Tensor, "c h w"] | None

    def __init__(self, encoder: nn.Module, decoder: nn.Module, mean: Float[Tensor, "c h w"] | None = None) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.register_buffer("mean", mean)

    def encode(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        """The codes z = f(x)."""
        return self.encoder(x if self.mean is None else x - self.mean)

    def decode(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b c h w"]:
        """The reconstructions g(z)."""
        return self.decoder(z) if self.mean is None else self.decoder(z) + self.mean

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.decode(self.encode(x))
