"""The models of the book: compositions of an encoder and a decoder."""

from jaxtyping import Float
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """g(f(x)): an encoder f and a decoder g, trained together. Book: eq-compression-autoencoder.

    Both are deterministic functions, so `encode` and `decode` return plain tensors.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        """The codes z = f(x)."""
        return self.encoder(x)

    def decode(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b c h w"]:
        """The reconstructions g(z)."""
        return self.decoder(z)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.decode(self.encode(x))
