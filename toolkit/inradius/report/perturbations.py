"""Figures of perturbed images: the original, what moved, and the result; matplotlib is imported where a figure is asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.report.figures import blank, draw
from inradius.report.pictures import is_picture, signed, span
from inradius.stored.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Where mass goes within one image: flat pixels it leaves, pixels it reaches, and how much, (k,) each.
Flow = tuple[Tensor, Tensor, Tensor]

# More arrows than this hide the picture; the largest amounts are drawn.
_ARROWS = 150


def perturbation_figure(
    x: Tensor,
    delta: Tensor,
    *,
    flows: Sequence[Flow] | None = None,
    titles: Sequence[str] | None = None,
    bounds: tuple[float, float] | None = None,
    path: str | Path | None = None,
) -> "Figure":
    """A row for each example: the original, what moved, and the result.

    ``x`` and ``delta`` are (B, H, W), (B, 1, H, W) or (B, 3, H, W). What moved is blue where it left and orange where it
    arrived (in colour images: drawn around grey), stretched to its own largest value; ``flows`` (of
    ``inradius_wasserstein.flows``) draws the moves as arrows on it. ``titles`` stand beside the rows; ``bounds`` are black
    and white, by default the smallest and the largest value of each original; ``path`` is a .png, .svg or .pdf file to write.
    Raises ``InputError`` for what is no batch of images, ``UnsupportedError`` where matplotlib is not installed.
    """
    _check(x, delta, flows, titles)
    x, delta = (part.detach().double().cpu() for part in (x, delta))
    figure = blank(4.5, 1.5 * len(x) + 0.25)
    axes = figure.subplots(len(x), 3, squeeze=False, gridspec_kw={"wspace": 0.06, "hspace": 0.06})
    for row, places in enumerate(axes):
        low, high = bounds or span(x[row])
        shown = ((x[row] - low) / (high - low), signed(delta[row]), (x[row] + delta[row] - low) / (high - low))
        for place, picture in zip(places, shown, strict=True):
            _show(place, picture)
        if flows is not None:
            _arrows(places[1], flows[row], x.shape[-1])
        if titles is not None:
            places[0].set_ylabel(titles[row], fontsize=8)
    for place, word in zip(axes[0], ("original", "what moved", "result"), strict=True):
        place.set_title(word, fontsize=9)
    if path is not None:
        write_atomic(Path(path), draw(figure, Path(path).suffix.lstrip(".") or "png"))
    return figure


def _check(x: Tensor, delta: Tensor, flows: Sequence[Flow] | None, titles: Sequence[str] | None) -> None:
    if x.shape != delta.shape or not len(x) or not is_picture(x[0]):
        raise InputError(
            f"inputs of shape {tuple(x.shape)} with perturbations of shape {tuple(delta.shape)} are no images to draw; "
            "allowed are two equal shapes (B, H, W), (B, 1, H, W) or (B, 3, H, W), of at least 4 × 4 pixels"
        )
    for name, given in (("flows", flows), ("titles", titles)):
        if given is not None and len(given) != len(x):
            raise InputError(f"{len(given)} {name} were given for {len(x)} images; allowed is one each")


def _show(axes: Any, picture: Tensor) -> None:
    colours = picture.clamp(0, 1).view(-1, *picture.shape[-2:])
    axes.imshow(colours.expand(3, -1, -1).permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="0.8", linewidth=0.6)


def _arrows(axes: Any, flow: Flow, width: int) -> None:
    """Draws the up to 150 moves of the largest amounts as arrows on ``axes``; larger amounts are more opaque.

    ``width`` is the width of the image in pixels. Mass that stays in its pixel has no arrow.
    """
    source, target, amount = (part.detach().cpu() for part in flow)
    travels = (source != target).nonzero().squeeze(1)
    largest = travels[amount[travels].argsort(descending=True)[:_ARROWS]]
    if not len(largest):
        return
    source, target, amount = source[largest], target[largest], amount[largest]
    rise, run = target // width - source // width, target % width - source % width
    axes.quiver(
        *(part.numpy() for part in (source % width, source // width, run, rise)),
        angles="xy",
        scale_units="xy",
        scale=1,
        color="0.15",
        alpha=(0.15 + 0.85 * amount / torch.amax(amount)).numpy(),
        width=0.006,
    )
