"""Autoencoders, variational autoencoders and vector-quantized autoencoders: the code of the book."""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("autoencoders")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+source"

_MODULES = (
    "distributions",
    "files",
    "sprites",
    "patches",
    "data",
    "latents",
    "networks",
    "codebooks",
    "quantizers",
    "reading_order",
    "transformer",
    "autoregressive",
    "vqvae",
    "models",
    "estimators",
    "total_correlation",
    "objectives",
    "collapse",
    "informativeness",
    "disentanglement",
    "priors",
    "judge",
    "evaluation",
    "samples",
    "rates",
    "runs",
    "loops",
    "training",
    "factor_vae",
    "recordings",
    "recipe",
    "prior_recipe",
    "recipes",
    "sweeps",
    "downstream",
    "populations",
    "figures",
    "export",
    "views",
    "exhibits",
    "planes",
    "squares",
    "codebook_views",
    "map_views",
    "metric_views",
    "code_views",
    "stories",
    "code_views",
    "demonstrations",
    "in_page",
    "panel",
    "widgets",
    "checks",
    "claim_list",
    "claims",
)
__all__ = [*_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a submodule when it is first used: `import autoencoders` stays quick, `python -m autoencoders list` too."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its modules are {', '.join(_MODULES)}")


def __dir__() -> list[str]:
    return sorted(__all__)
