"""Widgets that compute a formula in the page while its numbers are moved; `widgets` offers them."""

from typing import Any

import torch
import traitlets as t

from autoencoders.views import show


def gaussian_kl(
    *,
    p: tuple[float, float] = (0.0, 1.0),
    q: tuple[float, float] = (1.5, 0.6),
    direction: str = "p||q",
    hint: str = "Try: make q narrow, then wide, and watch which of the two divergences grows. Which direction punishes a q "
    "that misses part of p?",
) -> Any:
    """Two Gaussians (mean, standard deviation) and the Kullback-Leibler divergence between them in both directions.

    The integrand of the chosen direction is drawn; its signed area is the divergence, in nats.
    """
    directions = ("p||q", "q||p")
    if direction not in directions:
        raise ValueError(f"direction must be 'p||q' or 'q||p', not {direction!r}")
    for name, (_, sigma) in (("p", p), ("q", q)):
        if not sigma > 0:
            raise ValueError(f"the standard deviation of {name} must be positive, not {sigma}")
    return show(
        "gaussian_kl",
        label="Two Gaussian densities p and q, and the integrand of the Kullback-Leibler divergence between them.",
        hint=hint,
        state={},
        user={
            "p": t.Tuple(t.Float(), t.Float(), default_value=tuple(map(float, p))),
            "q": t.Tuple(t.Float(), t.Float(), default_value=tuple(map(float, q))),
            "direction": t.Enum(directions, default_value=direction),
        },
    )


def reparameterized_sample(
    *,
    mu: float = 1.5,
    sigma: float = 0.5,
    f: str = "square",
    hold: bool = True,
    samples: int = 12,
    seed: int = 3,
    hint: str = "Try: with the noise held, move μ, then σ. Now let the noise be redrawn at every move. Which of the two "
    "shows a derivative? Then choose the step.",
) -> Any:
    """Samples z = mu + sigma * epsilon under held or redrawn noise, and the pathwise gradient of the average of f(z).

    Book: eq-reparameterization-transform, eq-reparameterization-pathwise. Each sample's share of the two derivatives is
    drawn, their average, and the exact derivative of E[f(z)].

    Args:
        f: "square" is z^2, "bump" is exp(-2 (z - 1)^2), "step" is 1 where z > 1.
        hold: whether the noise stays while mu and sigma move.
        seed: decides the noise, 40 draws of `samples` numbers that the page goes through.

    Raises:
        ValueError: `f` is none of the three, `sigma` lies outside [0.05, 2], `mu` outside [-2, 2] or `samples` outside
            [2, 50].
    """
    functions = ("square", "bump", "step")
    if f not in functions:
        raise ValueError(f"f must be one of {', '.join(functions)}, not {f!r}")
    for name, value, low, high in (("mu", mu, -2, 2), ("sigma", sigma, 0.05, 2), ("samples", samples, 2, 50)):
        if not low <= value <= high:
            raise ValueError(f"{name} must lie between {low} and {high}, not {value}")
    noise = torch.randn(40, samples, generator=torch.Generator().manual_seed(seed)).double()
    return show(
        "reparameterized_sample",
        label="Samples of a Gaussian computed from noise values, a function of them, and the gradient of its average.",
        hint=hint,
        state={"noise": [[round(value, 3) for value in draw] for draw in noise.tolist()]},
        user={
            "mu": t.Float(float(mu), min=-2.0, max=2.0),
            "sigma": t.Float(float(sigma), min=0.05, max=2.0),
            "f": t.Enum(functions, default_value=f),
            "hold": t.Bool(hold),
            "draw": t.Int(0, min=0, max=len(noise) - 1),
        },
    )


def two_pulls(
    *,
    x: float = 2.0,
    w: float = 1.0,
    c: float = 0.1,
    q: tuple[float, float] = (0.6, 0.5),
    hint: str = "Try: go to the bottom. Then make c ten times larger, and go down again: which way did the bottom move, and "
    "where does it end when w is zero?",
) -> Any:
    """The objective of one latent under a linear decoder, a map over (mean, log-variance) that the reader walks down.

    The map is ((x - w mu)^2 + w^2 sigma^2) / 2c + KL; arrows show the pull of either term. Book: eq-gaussian-pulls.

    Args:
        x: the number to be reconstructed.
        w: the decoder's weight at the start, from 0 to 2.
        c: the pixel variance at the start, one of 0.01, 0.03, 0.1, 0.3, 1, 3 and 10.
        q: mean, from -1 to 3, and log-variance, from -6 to 2, at the start.
    """
    variances = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    if c not in variances:
        raise ValueError(f"c must be one of {', '.join(f'{v:g}' for v in variances)}, not {c}")
    if not 0 <= w <= 2:
        raise ValueError(f"the decoder's weight w must lie between 0 and 2, not at {w}")
    span = ((-1.0, 3.0), (-6.0, 2.0))
    for name, value, (low, high) in zip(("mean", "log-variance"), q, span, strict=True):
        if not low <= value <= high:
            raise ValueError(f"the {name} must lie between {low:g} and {high:g}, not at {value}")
    return show(
        "two_pulls",
        label="The objective of one latent as a map over its mean and log-variance, with the pull of each of its two terms.",
        hint=hint,
        state={"x": float(x), "range": span, "variances": variances},
        user={
            "q": t.Tuple(t.Float(), t.Float(), default_value=tuple(map(float, q))),
            "c": t.Enum(variances, default_value=c),
            "w": t.Float(float(w), min=0.0, max=2.0),
        },
    )


_DRAWS = (10, 30, 100, 300, 1000, 3000, 10_000)


def prior_monte_carlo(
    *,
    latents: int = 10,
    draws: int = 1000,
    width: float = 0.45,
    seed: int = 0,
    hint: str = "Try: go from one latent to twenty and watch how many of the draws count. Then draw anew a few times: is the "
    "estimate too high as often as it is too low?",
) -> Any:
    """Estimates of log p(x) as an average over draws from the prior, where log p(x) is known: a linear-Gaussian model.

    Book: eq-generative-monte-carlo. Each latent's posterior is N(mean, width^2) with mean^2 + width^2 = 1, a typical picture.

    Raises:
        ValueError: a number is outside its slider's range.
    """
    if not 1 <= latents <= 20:
        raise ValueError(f"latents must lie between 1 and 20, not {latents}")
    if draws not in _DRAWS:
        raise ValueError(f"draws must be one of {', '.join(map(str, _DRAWS))}, not {draws}")
    if not 0.1 <= width <= 0.95:
        raise ValueError(f"width, a latent's posterior standard deviation, must lie between 0.1 and 0.95, not {width}")
    return show(
        "prior_monte_carlo",
        label="Draws from the prior, their weights, and the error of the estimate of log p(x) that is made of them.",
        hint=hint,
        state={},
        user={
            "latents": t.Int(latents, min=1, max=20),
            "draws": t.Enum(_DRAWS, default_value=draws),
            "width": t.Float(float(width), min=0.1, max=0.95),
            "seed": t.Int(seed),
        },
    )


def estimator_variance(
    *,
    m: int = 8,
    samples: int = 4,
    hint: str = "Try: raise the dimension from 1 to 64 and read the axes. How many draws does the score function need to be as "
    "good as one reparameterized draw?",
) -> Any:
    """Gradient estimates of E[||z - a||^2 / 2], z ~ N(mu, I), by three estimators, all of the same draws.

    The clouds are computed in the page; the variances beside them are exact. Book: eq-score-function-variances.
    """
    choices = {"m": (1, 2, 4, 8, 16, 32, 64), "samples": (1, 2, 4, 8, 16, 32)}
    for name, value in (("m", m), ("samples", samples)):
        if value not in choices[name]:
            raise ValueError(f"{name} must be one of {', '.join(map(str, choices[name]))}, not {value}")
    return show(
        "estimator_variance",
        label="Clouds of gradient estimates by three estimators, and their variances against the dimension.",
        hint=hint,
        state={"dimensions": list(choices["m"]), "counts": list(choices["samples"])},
        user={
            "m": t.Enum(choices["m"], default_value=m),
            "samples": t.Enum(choices["samples"], default_value=samples),
        },
    )
