"""Codebooks: each vector of a map becomes the nearest of K learned ones. Maps are `(b, d, *places)`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F

_CHUNK = 2**18  # distances held at a time: 1 MB of float32, what a processor's cache takes; 64 times that elsewhere
_START = 10_000  # vectors that a start by k-means looks at


@dataclass(frozen=True)
class Quantized:
    """What a quantizer makes of a map of vectors. Both losses are sums over a map's numbers, unweighted.

    Args:
        values: the chosen codes, in the map's places; the gradient passes straight through them to the encoder.
        indices: which code was chosen at each place; of a residual quantizer, of each stage, `(b, stages, *places)`.
        codebook_loss: squared distance from each code to the vectors it was chosen for; it moves the codebook alone.
        commitment_loss: the same number; it moves the encoder alone.
    """

    values: Float[Tensor, "b d *places"]
    indices: Int[Tensor, "b *stages_and_places"]
    codebook_loss: Float[Tensor, "b"]
    commitment_loss: Float[Tensor, "b"]


@torch.no_grad()
def nearest_code(z: Float[Tensor, "n d"], codebook: Float[Tensor, "k width"]) -> Int[Tensor, "n"]:
    """The index of the code nearest to each vector; of codes equally near, the first.

    The distances are those of `half_distances`: exact under a common offset, in bounded memory.

    Raises:
        ValueError: the codebook is empty, or the vectors and the codes differ in length.
    """
    found = torch.empty(len(z), dtype=torch.int64, device=z.device)
    for rows, half in half_distances(z, codebook):
        torch.argmin(half, 1, out=found[rows])
    return found


def half_distances(
    z: Float[Tensor, "n d"], codebook: Float[Tensor, "k width"]
) -> Iterator[tuple[slice, Float[Tensor, "rows k"]]]:
    """|z - c|^2 / 2 less a number that each z has to itself, for some rows of z at a time, in a buffer that the next use.

    That is |c|^2 / 2 - z.c. Both are first taken relative to the codebook's mean: an offset that they have in common,
    large against their differences, would leave nothing of these. Memory is bounded whatever n and k are.

    Raises:
        ValueError: the codebook is empty, or the vectors and the codes differ in length.
    """
    if codebook.dim() != 2 or len(codebook) < 1:
        raise ValueError(f"a codebook is a matrix with a code in each row, at least one, not {tuple(codebook.shape)}")
    if z.dim() != 2 or z.shape[1] != codebook.shape[1]:
        raise ValueError(
            f"each row of z has to be as long as a code, {codebook.shape[1]} numbers, but z is {tuple(z.shape)}"
        )
    z, codebook = z.detach(), codebook.detach()
    center = codebook.mean(0)
    codes = codebook - center
    half = codes.square().sum(1) / 2
    size = max(1, (_CHUNK if z.device.type == "cpu" else 64 * _CHUNK) // len(codes))
    # One buffer for all: those of the system's allocator, set free in turn, would come to lie side by side.
    buffer = half.new_empty(min(size, len(z)), len(codes))
    for start in range(0, len(z), size):
        some = z[start : start + size] - center
        rows = slice(start, start + len(some))
        yield rows, torch.addmm(half, some, codes.T, alpha=-1, out=buffer[: len(some)])


class Codebook(nn.Module):
    """K codes of d numbers, and how a map is replaced by them; subclasses say what moves the codes.

    Raises:
        ValueError: `codes` or `width` is less than 1.
    """

    codes: Tensor

    def __init__(self, codes: int, width: int):
        super().__init__()
        if codes < 1 or width < 1:
            raise ValueError(f"a codebook has at least one code of at least one number, not {codes} of {width}")

    def forward(self, z: Float[Tensor, "b d *places"]) -> Quantized:
        """Raises:
        ValueError: the map's vectors are not as long as the codes.
        """
        return self._quantized(z, self.indices(z))

    def _quantized(self, z: Float[Tensor, "b d *places"], indices: Int[Tensor, "b *places"]) -> Quantized:
        chosen = F.embedding(indices, self.codes).movedim(-1, 1)
        codebook_loss = (chosen - z.detach()).square().flatten(1).sum(1)
        commitment_loss = (z - chosen.detach()).square().flatten(1).sum(1)
        return Quantized(z + (chosen - z).detach(), indices, codebook_loss, commitment_loss)

    def indices(self, z: Float[Tensor, "b d *places"]) -> Int[Tensor, "b *places"]:
        """The nearest code at each place."""
        return nearest_code(self._vectors(z), self.codes).view(len(z), *z.shape[2:])

    def values(self, indices: Int[Tensor, "b *places"]) -> Float[Tensor, "b d *places"]:
        """The map of codes that a map of indices stands for.

        Raises:
            ValueError: an index is not of a code.
        """
        k = len(self.codes)
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < k:
            raise ValueError(
                f"there are {k} codes, 0 to {k - 1}, but the indices go from {int(indices.min())} to {int(indices.max())}"
            )
        return F.embedding(indices, self.codes).movedim(-1, 1)

    @torch.no_grad()
    def initialize(self, z: Float[Tensor, "b d *places"], *, seed: int = 0) -> None:
        """Put the codes where k-means (Lloyd, k-means++ start) finds the centers of the vectors of some maps.

        Raises:
            ValueError: there are fewer vectors than codes, or they are not as long as the codes.
        """
        from sklearn.cluster import KMeans

        vectors = self._vectors(z).to(self.codes.dtype)
        if len(vectors) < len(self.codes):
            raise ValueError(f"k-means with {len(self.codes)} centers needs as many vectors, not {len(vectors)}")
        means = KMeans(len(self.codes), n_init=cast(Any, 1), max_iter=20, random_state=seed)
        found = means.fit(vectors.cpu().numpy())
        self._put(torch.as_tensor(found.cluster_centers_, dtype=self.codes.dtype, device=self.codes.device))

    def _vectors(self, z: Float[Tensor, "b d *places"]) -> Float[Tensor, "n d"]:
        width = self.codes.shape[1]
        if z.dim() < 2 or z.shape[1] != width:
            raise ValueError(f"the codes have {width} numbers, so a map is (b, {width}, ...), not {tuple(z.shape)}")
        return z.movedim(1, -1).reshape(-1, width)

    def _put(self, codes: Float[Tensor, "k d"]) -> None:
        self.codes.data.copy_(codes)


class GradientCodebook(Codebook):
    """Codes that gradient descent moves, on the codebook loss (van den Oord et al. 2017)."""

    def __init__(self, codes: int, width: int):
        super().__init__(codes, width)
        self.codes = nn.Parameter(torch.empty(codes, width).uniform_(-1 / codes, 1 / codes))


class MovingAverageCodebook(Codebook):
    """Codes that are averages over the vectors lately assigned to them (van den Oord et al. 2017, appendix A.1).

    A code is `sums / counts`, two decaying sums over training batches. They start as if each code had been chosen once,
    by itself. For the division the counts are smoothed without changing their total, and a code that nothing was
    assigned to stays where it is. In training each call first quantizes with the codes it found and then moves them; in
    evaluation nothing moves. Under `torch.distributed` the sums run over all processes.

    Args:
        decay: share of the old sums that each batch keeps.
        smoothing: added to each count before the counts are scaled back to their total (Laplace).
        restart: a code whose count has fallen below this is moved to a vector of the batch; 0 never does that.
        start: `"uniform"` draws the first codes near zero; `"k-means"` finds them among the vectors of the first
            training batch, once, before it is quantized. Up to 10,000 of its vectors are looked at, and under
            `torch.distributed` those of process 0. A saved state remembers whether that has happened.
        seed: of restarts and of k-means.

    Raises:
        ValueError: `decay` is not in [0, 1), `smoothing` or `restart` is negative, or `start` is neither of the two.
            In training: the first batch has fewer vectors than there are codes and `start` is `"k-means"`.
    """

    counts: Tensor
    sums: Tensor
    draws: Tensor
    started: Tensor

    def __init__(
        self,
        codes: int,
        width: int,
        *,
        decay: float = 0.99,
        smoothing: float = 1e-5,
        restart: float = 0.0,
        start: str = "uniform",
        seed: int = 0,
    ):
        super().__init__(codes, width)
        if not 0 <= decay < 1:
            raise ValueError(f"decay is the share that is kept, from 0 to below 1, not {decay}")
        if smoothing < 0 or restart < 0:
            raise ValueError(f"smoothing and restart are counts, at least 0, not {smoothing} and {restart}")
        if start not in ("uniform", "k-means"):
            raise ValueError(f'codes start "uniform" or by "k-means", not {start!r}')
        self.decay, self.smoothing, self.restart, self.seed = decay, smoothing, restart, seed
        self.register_buffer("codes", torch.empty(codes, width).uniform_(-1 / codes, 1 / codes))
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("sums", self.codes.clone())
        self.register_buffer("draws", torch.tensor(seed * 1_000_003 % 2**32))  # the seed of the next restart
        self.register_buffer("started", torch.tensor(start == "uniform"))

    def forward(self, z: Float[Tensor, "b d *places"]) -> Quantized:
        if self.training and not self.started:
            self._start(z)
        quantized = super().forward(z)
        if self.training:
            self.update(z.detach(), quantized.indices)
        return quantized

    @torch.no_grad()
    def update(self, z: Float[Tensor, "b d *places"], indices: Int[Tensor, "b *places"]) -> None:
        """Move the codes toward the vectors they were chosen for."""
        vectors, chosen = self._vectors(z), indices.flatten()
        counts = torch.bincount(chosen, minlength=len(self.codes)).to(self.counts.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, chosen, vectors)
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(counts)
            dist.all_reduce(sums)
        self.counts.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        used = counts > 0
        total = self.counts.sum()
        smoothed = (self.counts + self.smoothing) * (total / (total + len(self.counts) * self.smoothing))
        self.codes[used] = (self.sums / smoothed[:, None])[used]
        if self.restart:
            self._restart(vectors)

    @torch.no_grad()
    def _start(self, z: Float[Tensor, "b d *places"]) -> None:
        vectors = self._vectors(z)
        if len(vectors) > _START:
            order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(self.seed))
            vectors = vectors[order[:_START].to(vectors.device)]
        self.initialize(vectors, seed=self.seed % 2**32)
        if dist.is_available() and dist.is_initialized():
            dist.broadcast(self.codes, 0)
            self._put(self.codes)

    def _restart(self, vectors: Float[Tensor, "n d"]) -> None:
        """Move codes that have fallen out of use to vectors of the batch, with the statistics of a new code."""
        dead = self.counts < self.restart
        generator = torch.Generator().manual_seed(int(self.draws))
        self.draws += 1
        if not dead.any():
            return
        picked = torch.randint(len(vectors), (int(dead.sum()),), generator=generator)
        fresh = vectors[picked.to(vectors.device)]
        if dist.is_available() and dist.is_initialized():
            dist.broadcast(fresh, 0)
        self.codes[dead], self.sums[dead], self.counts[dead] = fresh, fresh, 1.0

    def _put(self, codes: Float[Tensor, "k d"]) -> None:
        super()._put(codes)
        self.sums.copy_(codes)
        self.counts.fill_(1.0)
        self.started.fill_(True)
