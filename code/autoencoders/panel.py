"""The training panel: a recipe that trains while you watch, or, on a page without a kernel, the recorded run.

Live, training is an asyncio task in the kernel's own loop. It takes the steps of `training.steps` in bites of a few
hundredths of a second and hands control back in between, so buttons, sliders and other cells keep answering.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import ipywidgets
import numpy as np
import torch
import traitlets as t

from autoencoders import recipes, training, views
from autoencoders.recipes import Recipe
from autoencoders.recordings import Recorder

BITE = 0.05
"""Seconds of training before the kernel gets to answer messages."""

LEVELS = 32
"""Gray levels of recorded reconstructions."""


def training_panel(recipe: str | Recipe, *, seed: int, frames: int, ink: bool, hint: str) -> Any:
    """See `widgets.training_panel`."""
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    return (
        recorded(recipe, seed=seed, frames=frames, ink=ink, hint=hint)
        if views.is_static()
        else Panel(recipe, seed, ink)
    )


def recorded(recipe: Recipe, *, seed: int, frames: int, ink: bool, hint: str) -> Any:
    """The recorded run with a scrub bar over its epochs; opens on the last."""
    run = recipe.run(seed, progress=False)
    recording, history = run.recording, run.history
    keep = _spread_frames(len(recording.epochs), frames)
    state = _constant(recipe, recording.originals, recording.labels, ink) | {
        "live": False,
        "note": "",
        "total": int(recording.epochs[-1]),
        **_frames([int(recording.epochs[i]) for i in keep], recording.reconstructions[keep], recording.codes[keep]),
        **_losses(history),
    }
    return views.show(
        "training",
        label=f"The training of {recipe.name}: losses, reconstructions and codes over {state['total']} epochs.",
        hint=hint,
        state=state,
        user={"frame": t.Int(len(keep) - 1, min=0)},
    )


class Panel(ipywidgets.VBox):
    """Start, pause and reset, sliders for the recipe's numbers, and the view of `_js/training.js` kept up to date.

    `panel.recipe` is the recipe as the sliders have it, `panel.model` and `panel.history` what training has made so far.
    """

    def __init__(self, recipe: Recipe, seed: int = 0, ink: bool = True) -> None:
        self.recipe, self.seed, self.history = recipe, seed, training.History()
        self.model = recipe.model(seed)
        self._task: asyncio.Task[None] | None = None
        self._steps: Iterator[training.Progress] | None = None
        images = recipe.dataset()
        self._images, self._recorder = images, Recorder(images)
        recorder = self._recorder
        empty = _frames([], torch.empty(0, *recorder.originals.shape), torch.empty(0, len(recorder.labels), 2))
        self.view = views.show(
            "training",
            label=f"Live training of {recipe.name}: losses, reconstructions and codes.",
            hint="Try: train once as it is, reset, then change one number and train again.",
            state=_constant(recipe, recorder.originals, recorder.labels, ink)
            | {"live": True, "note": "", "total": recipe.epochs, **empty, **_losses(self.history)},
            user={"frame": t.Int(0)},
        )
        self.start_button = ipywidgets.Button(description="Start", icon="play", button_style="primary")
        self.pause_button = ipywidgets.Button(description="Pause", icon="pause", disabled=True)
        self.reset_button = ipywidgets.Button(description="Reset", icon="refresh")
        self.start_button.on_click(lambda _: self.start())
        self.pause_button.on_click(lambda _: self.pause())
        self.reset_button.on_click(lambda _: self.reset())
        self.sliders = _sliders(recipe)
        for slider in self.sliders.values():
            slider.observe(lambda _: self.reset(), "value")
        buttons = ipywidgets.HBox([self.start_button, self.pause_button, self.reset_button])
        super().__init__([buttons, ipywidgets.VBox(list(self.sliders.values())), self.view])

    def start(self) -> None:
        """Train, or go on training, in the background; returns at once."""
        if self._task is not None and not self._task.done():
            return
        if self._steps is None:
            self._steps = training.steps(
                self.model,
                self._images.train.images,
                self.recipe.objective_function(self.seed),
                validation=self._images.validation.images,
                **self.recipe.settings(self.seed),
            )
        self._running(True)
        self._task = asyncio.get_running_loop().create_task(self._train())

    def pause(self) -> None:
        """Stop after the current bite; `start` goes on from there."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._running(False)

    def reset(self) -> None:
        """Back to untrained weights, with the numbers that the sliders now show."""
        self.pause()
        self._steps = None
        self.recipe = self.recipe.replace(**{name: slider.value for name, slider in self.sliders.items()})
        self.model, self.history = self.recipe.model(self.seed), training.History()
        self._recorder.frames.clear()
        self._show("", reset=True)

    async def wait(self) -> None:
        """Until training ends or is paused."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _train(self) -> None:
        until = time.perf_counter() + BITE
        try:
            for now in self._steps or ():
                self.history = now.history
                if now.epoch_ended:
                    self._recorder(now)
                    self._show("")
                if time.perf_counter() > until:
                    if not now.epoch_ended:
                        self.view.note = f"Step {now.step} of {now.total_steps}, loss {now.loss:.1f}."
                    await asyncio.sleep(0.01)
                    until = time.perf_counter() + BITE
            self._show("Done.")
        except (training.NonFiniteLoss, ValueError, RuntimeError) as error:
            self._show(f"Training stopped: {error}")
        finally:
            if self._task is asyncio.current_task():  # else this task was paused, and another may run already
                self._running(False)

    def _running(self, on: bool) -> None:
        self.start_button.disabled, self.pause_button.disabled = on, not on

    def _show(self, note: str, reset: bool = False) -> None:
        """Send what has been recorded to the page, in one message."""
        taken = self._recorder.frames
        if taken:
            epochs, pictures, codes = zip(*taken, strict=True)
            frames = _frames(list(epochs), torch.stack(pictures), torch.stack(codes))
        elif reset:
            frames = _frames([], torch.empty(0), torch.empty(0))
        else:
            frames = {}
        with self.view.hold_sync():
            for name, value in (frames | _losses(self.history)).items():
                setattr(self.view, name, value)
            self.view.total, self.view.note = self.recipe.epochs, note
            self.view.frame = max(0, len(taken) - 1)


def _sliders(recipe: Recipe) -> dict[str, Any]:
    """The recipe's numbers that it makes sense to change, each with its present value."""
    style, layout = {"description_width": "130px"}, ipywidgets.Layout(width="min(100%, 420px)")
    look: dict[str, Any] = {"style": style, "layout": layout, "continuous_update": False}
    sliders: dict[str, Any] = {
        "epochs": ipywidgets.IntSlider(recipe.epochs, min=1, max=max(100, recipe.epochs), description="epochs", **look),
        "batch_size": ipywidgets.SelectionSlider(
            options=sorted({16, 32, 64, 128, 256, 512, recipe.batch_size}),
            value=recipe.batch_size,
            description="batch size",
            **look,
        ),
        "learning_rate": ipywidgets.FloatLogSlider(
            recipe.learning_rate, min=-5, max=0, step=0.1, description="learning rate", readout_format=".1e", **look
        ),
    }
    if recipe.objective in ("sparse", "elbo"):
        name = "sparsity weight" if recipe.objective == "sparse" else "KL weight (beta)"
        sliders["weight"] = ipywidgets.FloatLogSlider(recipe.weight, min=-4, max=2, step=0.1, description=name, **look)
    if recipe.objective == "denoising":
        sliders["noise"] = ipywidgets.FloatSlider(recipe.noise, min=0, max=1, step=0.05, description="noise", **look)
    return sliders


def _constant(recipe: Recipe, originals: torch.Tensor, labels: torch.Tensor, ink: bool) -> dict[str, Any]:
    """What a run does not change: the pictures it is watched on."""
    names = [str(name) for name in recipe.dataset().class_names]
    return {
        "originals": views.picture_bytes(originals),
        "labels": views.as_array(labels).astype(np.uint8).tobytes(),
        "count": len(originals),
        "shape": views.picture_shape(originals),
        "classes": names,
        "glyphs": views.glyphs(names),
        "ink": ink,
    }


def _frames(epochs: list[int], reconstructions: torch.Tensor, codes: torch.Tensor) -> dict[str, Any]:
    """Pictures and codes after each of `epochs`, coarse enough for a page: 32 gray levels, 256 places along each axis.

    The plane's range is fixed over the epochs and holds 99 of 100 codes; the others are drawn on its border.
    """
    plane = views.as_array(codes).reshape(-1, 2)
    low, high = np.percentile(plane, [0.5, 99.5], axis=0) if len(plane) else (-np.ones(2), np.ones(2))
    margin = 0.05 * (high - low) + 1e-6
    low, high = low - margin, high + margin
    places = np.rint(255 * ((plane - low) / (high - low)).clip(0, 1)).astype(np.uint8)
    return {
        "epochs": epochs,
        "reconstructions": views.few_levels(views.picture_bytes(reconstructions), LEVELS) if epochs else b"",
        "levels": LEVELS,
        "codes": places.tobytes(),
        "range": np.stack([low, high], axis=1).astype(float).tolist(),
    }


def _losses(history: training.History) -> dict[str, Any]:
    return {
        "loss_epochs": [int(record["epoch"]) for record in history.records],
        "train_loss": [float(record["train_loss"]) for record in history.records],
        "validation_loss": [float(r["validation_loss"]) for r in history.records if "validation_loss" in r],
    }


def _spread_frames(count: int, most: int) -> list[int]:
    """Which of `count` epochs to keep: all if they fit, else the first and last and, between, more early ones."""
    if count <= most:
        return list(range(count))
    return sorted({round(float(i)) - 1 for i in np.geomspace(1, count, most)})
