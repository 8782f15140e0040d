"""Encoders and decoders: images to m numbers and back.

Every encoder maps `(b, c, h, w)` to `(b, latent)`, every decoder `(b, latent)` to `(b, c, h, w)` with a linear output, so
that any pair fits any model; those for codes that lie in a map put `(b, latent, rows, columns)` in between. `net` is an
`nn.Sequential` wherever the network is a chain of layers.
"""

import itertools
from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, int, int]


def parameter_count(module: nn.Module) -> int:
    """How many numbers training adjusts in `module`."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def multiply_adds(module: nn.Module, x: Tensor) -> int:
    """Multiplications, each with its addition, that `module` does per example of `x`: what a forward pass costs."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # fused attention is not counted
        module(x)
    return counter.get_total_flops() // (2 * len(x))


def _mlp(sizes: Sequence[int], bias: bool) -> list[nn.Module]:
    """Linear layers with ReLUs between them; two sizes make one linear map."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after, bias=bias), nn.ReLU()]
    return layers[:-1]


class MLPEncoder(nn.Module):
    """Fully connected encoder; `hidden=()` makes it the linear map W_f of the chapter on linear autoencoders."""

    def __init__(self, shape: Shape, latent: int, hidden: Sequence[int] = (400,), bias: bool = True) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), *_mlp([prod(shape), *hidden, latent], bias))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        return self.net(x)


class MLPDecoder(nn.Module):
    """Fully connected decoder, the mirror of `MLPEncoder`; `hidden=()` makes it the linear map W_g."""

    def __init__(self, shape: Shape, latent: int, hidden: Sequence[int] = (400,), bias: bool = True) -> None:
        super().__init__()
        self.net = nn.Sequential(*_mlp([latent, *reversed(hidden), prod(shape)], bias), nn.Unflatten(1, shape))

    def forward(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b c h w"]:
        return self.net(z)


class SparseEncoder(nn.Module):
    """relu(W x + b): codes that can be exactly zero. Book: eq-sparse-denoising-encoder.

    With `top_k`, only the `top_k` largest entries of each code survive (Makhzani and Frey 2014): the number of active units is
    then chosen and not bought by a penalty.

    Raises:
        ValueError: `top_k` is not between 1 and `latent`.
    """

    def __init__(self, shape: Shape, latent: int, top_k: int | None = None) -> None:
        super().__init__()
        if top_k is not None and not 1 <= top_k <= latent:
            raise ValueError(f"top_k is how many of the {latent} units may be active, from 1 to {latent}; got {top_k}")
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), latent), nn.ReLU())
        self.top_k = top_k

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        z = self.net(x)
        if self.top_k is None:
            return z
        values, units = z.topk(self.top_k, dim=1)
        return torch.zeros_like(z).scatter(1, units, values)


class UnitNormDecoder(nn.Module):
    """D z + c with columns of length 1, so that codes cannot shrink at the columns' expense. Book: eq-sparse-denoising-unit.

    The columns are divided by their lengths in every forward pass: training cannot leave the constraint.
    """

    def __init__(self, shape: Shape, latent: int) -> None:
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(F.normalize(torch.randn(prod(shape), latent), dim=0))
        self.bias = nn.Parameter(torch.zeros(prod(shape)))

    @property
    def features(self) -> Float[Tensor, "m c h w"]:
        """The columns of D as pictures: what one active unit adds to the reconstruction."""
        return F.normalize(self.weight, dim=0).T.unflatten(1, self.shape)

    def forward(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b c h w"]:
        return F.linear(z, F.normalize(self.weight, dim=0), self.bias).unflatten(1, self.shape)


def _halved(shape: Shape, times: int) -> tuple[int, int]:
    """Height and width after `times` halvings."""
    c, h, w = shape
    if h % 2**times or w % 2**times:
        raise ValueError(
            f"each of the {times} convolutions halves the image, so its sides must be divisible by {2**times}, but the "
            f"images are {c} x {h} x {w}; use fewer channels entries, or resize with data.load(..., size=...)"
        )
    return h // 2**times, w // 2**times


def _through(before: int, hidden: int | None, after: int) -> list[int]:
    """Sizes of the fully connected layers, with or without a hidden one."""
    return [before, after] if hidden is None else [before, hidden, after]


class ConvEncoder(nn.Module):
    """A 4 x 4 convolution of stride 2 for each entry of `channels`, then a fully connected layer, then the code.

    `hidden=None` leaves the fully connected layer between them out: one linear map reads the code off the last channels.
    """

    def __init__(self, shape: Shape, latent: int, channels: Sequence[int] = (16, 32), hidden: int | None = 128) -> None:
        super().__init__()
        h, w = _halved(shape, len(channels))
        sizes = [shape[0], *channels]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Flatten(), *_mlp(_through(channels[-1] * h * w, hidden, latent), True))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        return self.net(x)


class ConvDecoder(nn.Module):
    """The mirror of `ConvEncoder`: fully connected layers, then transposed convolutions that double the image."""

    def __init__(self, shape: Shape, latent: int, channels: Sequence[int] = (16, 32), hidden: int | None = 128) -> None:
        super().__init__()
        h, w = _halved(shape, len(channels))
        sizes = [*reversed(channels), shape[0]]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.net = nn.Sequential(
            *_mlp(_through(latent, hidden, channels[-1] * h * w), True),
            nn.ReLU(),
            nn.Unflatten(1, (channels[-1], h, w)),
            *layers[:-1],
        )

    def forward(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b c h w"]:
        return self.net(z)


class ResidualBlock(nn.Module):
    """x + F(x), F two convolutions: the block learns a correction and starts close to the identity (He et al. 2016)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.net(x)


class ResidualEncoder(nn.Module):
    """`ConvEncoder` with `blocks` residual blocks behind its last convolution."""

    def __init__(
        self, shape: Shape, latent: int, channels: Sequence[int] = (16, 32), hidden: int = 128, blocks: int = 2
    ) -> None:
        super().__init__()
        plain = ConvEncoder(shape, latent, channels, hidden).net
        cut = 2 * len(channels) - 1  # the last convolution's ReLU moves behind the blocks
        residual = [ResidualBlock(channels[-1], channels[-1]) for _ in range(blocks)]
        self.net = nn.Sequential(*plain[:cut], *residual, *plain[cut:])

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        return self.net(x)


class ResidualDecoder(nn.Module):
    """`ConvDecoder` with `blocks` residual blocks before its first transposed convolution."""

    def __init__(
        self, shape: Shape, latent: int, channels: Sequence[int] = (16, 32), hidden: int = 128, blocks: int = 2
    ) -> None:
        super().__init__()
        plain = ConvDecoder(shape, latent, channels, hidden).net
        residual = [ResidualBlock(channels[-1], channels[-1]) for _ in range(blocks)]
        self.net = nn.Sequential(*plain[:5], *residual, nn.ReLU(), *plain[5:])

    def forward(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b c h w"]:
        return self.net(z)


class MapEncoder(nn.Module):
    """Convolutions that halve the image, residual blocks, and a 1 x 1 convolution to the codes' width: a map of vectors.

    The last convolution, before quantization, gives the map the codebook's width (van den Oord et al. 2017, section 4.1).
    """

    def __init__(self, shape: Shape, latent: int, channels: Sequence[int] = (16, 32), blocks: int = 1) -> None:
        super().__init__()
        _halved(shape, len(channels))
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([shape[0], *channels]):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        residual = [ResidualBlock(channels[-1], channels[-1]) for _ in range(blocks)]
        self.net = nn.Sequential(*layers[:-1], *residual, nn.ReLU(), nn.Conv2d(channels[-1], latent, 1))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d rows columns"]:
        return self.net(x)


class MapDecoder(nn.Module):
    """The mirror of `MapEncoder`: a 3 x 3 convolution, residual blocks, then transposed convolutions that double the map."""

    def __init__(self, shape: Shape, latent: int, channels: Sequence[int] = (16, 32), blocks: int = 1) -> None:
        super().__init__()
        _halved(shape, len(channels))
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([*reversed(channels), shape[0]]):
            layers += [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
        residual = [ResidualBlock(channels[-1], channels[-1]) for _ in range(blocks)]
        self.net = nn.Sequential(nn.Conv2d(latent, channels[-1], 3, padding=1), *residual, *layers)

    def forward(self, z: Float[Tensor, "b d rows columns"]) -> Float[Tensor, "b c h w"]:
        return self.net(z)


def _transformer(width: int, depth: int, heads: int) -> nn.TransformerEncoder:
    """Pre-norm self-attention blocks without dropout: the same network in training and in evaluation."""
    layer = nn.TransformerEncoderLayer(
        width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


def _patches(shape: Shape, patch: int) -> tuple[int, int]:
    """Rows and columns of patches."""
    c, h, w = shape
    if h % patch or w % patch:
        raise ValueError(
            f"the image must be cut into whole patches, but {c} x {h} x {w} is not divisible by patch={patch}"
        )
    return h // patch, w // patch


class PatchTransformerEncoder(nn.Module):
    """Cuts the image into patches, lets them attend to one another, and reads the code off all of them together.

    A vision transformer (Dosovitskiy et al. 2021) without its class token: one linear map reads every patch.
    """

    def __init__(
        self, shape: Shape, latent: int, patch: int = 4, width: int = 64, depth: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        rows, columns = _patches(shape, patch)
        self.embed = nn.Conv2d(shape[0], width, patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn(rows * columns, width))
        self.blocks = _transformer(width, depth, heads)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Flatten(), nn.Linear(rows * columns * width, latent))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        tokens = self.embed(x).flatten(2).transpose(1, 2)  # (b, patches, width)
        return self.head(self.blocks(tokens + self.position))


class PatchTransformerDecoder(nn.Module):
    """Spreads the code over one token a patch, lets them attend to one another, and paints each token's patch."""

    def __init__(
        self, shape: Shape, latent: int, patch: int = 4, width: int = 64, depth: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        self.grid = _patches(shape, patch)
        self.width = width
        self.spread = nn.Linear(latent, self.grid[0] * self.grid[1] * width)
        self.position = nn.Parameter(0.02 * torch.randn(self.grid[0] * self.grid[1], width))
        self.blocks = _transformer(width, depth, heads)
        self.norm = nn.LayerNorm(width)
        self.paint = nn.ConvTranspose2d(width, shape[0], patch, stride=patch)

    def forward(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b c h w"]:
        tokens = self.spread(z).unflatten(1, (-1, self.width)) + self.position  # (b, patches, width)
        tokens = self.norm(self.blocks(tokens))
        return self.paint(tokens.transpose(1, 2).unflatten(2, self.grid))
