"""Where trained models are kept between chapters, in which form, and under which key: all that decides what a run gives."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from platformdirs import user_cache_dir
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import autoencoders

# The modules that decide what training does: an edited package never meets old weights.
_SOURCES = """
autoregressive codebooks data distributions estimators factor_vae files loops models networks objectives patches prior_recipe
priors quantizers reading_order recipe recordings sprites total_correlation training transformer vqvae
""".split()  # noqa: SIM905


def smoke_steps() -> int | None:
    """AE_BUDGET=smoke runs everything and learns nothing: three steps a recipe, for tests of the plumbing."""
    budget = os.environ.get("AE_BUDGET", "full")
    if budget not in ("full", "smoke"):
        raise ValueError(f"AE_BUDGET must be 'full' or 'smoke', not {budget!r}")
    return 3 if budget == "smoke" else None


def key(settings: dict[str, Any], seed: int) -> str:
    """A digest of everything that decides the result of a run: recipe, seed, package version and source, budget."""
    parts = [settings, seed, autoencoders.__version__, _source_digest(), smoke_steps()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def path(name: str, seed: int, key: str) -> Path | None:
    """The file of a run in the user's cache; none where AE_CACHE=off. AE_CACHE=/some/folder moves the cache."""
    where = os.environ.get("AE_CACHE", "")
    if where == "off":
        return None
    return Path(where or user_cache_dir("autoencoders")) / "runs" / f"{name}-{seed}-{key}.safetensors"


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write a safetensors file with JSON metadata, beside its place first: no reader ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file({k: v.contiguous() for k, v in tensors.items()}, beside, {k: json.dumps(v) for k, v in metadata.items()})
    with open(beside, "rb") as file:
        os.fsync(file.fileno())
    os.replace(beside, path)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_tensors` wrote.

    Raises:
        ValueError: the file is damaged or not one of ours.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = {k: json.loads(v) for k, v in (file.metadata() or {}).items()}
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 - not a mapping
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise ValueError(f"{path} is damaged or not a saved run ({error}); delete it to train again") from error


def _source_digest() -> str:
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in _SOURCES)).hexdigest()
