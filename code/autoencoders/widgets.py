"""The book's interactive figures: each works on a page without a kernel and, in a live one, lets Python see what is done.

Pictures are tensors or arrays `(n, c, h, w)` in [0, 1]. Gray ones are drawn as ink on paper unless `ink=False`
(photographs). The functions prepare what the modules in `_js/` draw; what they return shows itself in a notebook.
"""

from typing import Any

import traitlets as t

from autoencoders import export, panel
from autoencoders.code_views import paint_codes, prior_drawing
from autoencoders.codebook_views import codebook_learning, copied_gradient
from autoencoders.demonstrations import (
    estimator_variance,
    gaussian_kl,
    prior_monte_carlo,
    reparameterized_sample,
    two_pulls,
)
from autoencoders.exhibits import (
    bottleneck_width,
    error_map,
    picture_index,
    principal_components,
    rate_distortion,
    sparsity,
)
from autoencoders.factor_views import latent_traversals, rotated_latents
from autoencoders.in_page import vae_in_page
from autoencoders.map_views import codec_explorer, map_switch
from autoencoders.metric_views import fixed_factor
from autoencoders.planes import latent_plane, posterior_plane, two_planes
from autoencoders.representation_views import label_efficiency
from autoencoders.squares import four_corners, quantile_plane
from autoencoders.stories import separability_story
from autoencoders.views import picture_bytes, picture_shape, show

__all__ = [
    "bottleneck_width",
    "codebook_learning",
    "codec_explorer",
    "copied_gradient",
    "denoiser",
    "error_map",
    "estimator_variance",
    "fixed_factor",
    "four_corners",
    "gaussian_kl",
    "label_efficiency",
    "latent_plane",
    "latent_traversals",
    "map_switch",
    "paint_codes",
    "posterior_plane",
    "principal_components",
    "prior_drawing",
    "prior_monte_carlo",
    "quantile_plane",
    "rate_distortion",
    "reparameterized_sample",
    "rotated_latents",
    "separability_story",
    "sparsity",
    "training_panel",
    "two_planes",
    "two_pulls",
    "vae_in_page",
]


def denoiser(
    model: Any,
    images: Any,
    *,
    noise: float = 0.5,
    largest: float = 1.0,
    seed: int = 0,
    dtype: str = "int8",
    ink: bool = True,
    hint: str = "Try: raise the noise until the network paints another digit than the one you see. Then draw new noise at the "
    "same level: is the mistake the digit's or the noise's?",
) -> Any:
    """Gaussian noise on a picture, and what a denoising autoencoder makes of it; encoder and decoder run in the page.

    Args:
        model: an autoencoder of fully connected layers, encoder and decoder under 250,000 parameters each.
        images: about ten clean pictures.
        noise, largest: standard deviation at the start, and the slider's end.
    """
    shape = picture_shape(images)
    encoder, encoder_weights = export.pack(
        model.encoder, dtype, shape=tuple(images.shape[1:]), subtract=getattr(model, "mean", None)
    )
    decoder, decoder_weights = export.pack(model.decoder, dtype, add=getattr(model, "mean", None))
    state = {
        "encoder": encoder,
        "encoder_weights": encoder_weights,
        "decoder": decoder,
        "decoder_weights": decoder_weights,
        "images": picture_bytes(images),
        "largest": float(largest),
        "shape": shape,
        "ink": ink,
    }
    return show(
        "denoiser",
        label="A picture, the same with Gaussian noise, and the output of a denoising autoencoder.",
        hint=hint,
        state=state,
        user={
            "noise": t.Float(float(noise), min=0.0, max=float(largest)),
            "image": picture_index(images),
            "seed": t.Int(seed),
        },
        decoder=True,
    )


def training_panel(
    recipe: Any,
    *,
    seed: int = 0,
    frames: int = 16,
    ink: bool = True,
    hint: str = "Try: scrub through the first epochs. What do the reconstructions learn first, and when do the classes part?",
) -> Any:
    """A recipe's training: live with a kernel (start, pause, reset, the recipe's numbers), recorded without one.

    Args:
        recipe: its name or the `Recipe`.
        seed: decides initial weights, batches and noise.
        frames: how many recorded epochs the page carries at most; early ones are kept more densely.
    """
    return panel.training_panel(recipe, seed=seed, frames=frames, ink=ink, hint=hint)
