"""Drawn shapes: images that need no file and no other package."""

import numpy as np
import torch
from numpy.typing import NDArray

from inradius import Dataset
from inradius_datasets import splits

_SIDE, _FINE = 16, 4
_COUNTS = {"train": 3000, "held_out": 1000}
# both splits come from streams of their own
_SEEDS = {"train": 0, "held_out": 1}

Array = NDArray[np.float64]


def shapes(split: str = "held_out") -> Dataset:
    """Bright discs, squares, triangles and crosses on a dark ground with noise, (N, 1, 16, 16) in [0, 1].

    They are drawn when they are asked for, from fixed seeds: 3000 images for ``split="train"``, 1000 others for
    ``"held_out"``. The classes are 0 disc, 1 square, 2 triangle, 3 cross. Place, size, brightness and noise are random.
    """
    splits.check(split, ("held_out", "train"))
    draw = np.random.Generator(np.random.PCG64(_SEEDS[split]))
    count = _COUNTS[split]
    labels = np.arange(count) % len(_SHAPES)
    # whole numbers as in an image file, so that no machine rounds otherwise
    pixels = np.rint(255 * _images(draw, labels)).astype(np.uint8)
    inputs = torch.from_numpy(pixels).to(torch.float32)[:, None] / 255
    return Dataset.of(inputs, torch.from_numpy(labels), name=f"shapes(split={split!r})")


def _images(draw: np.random.Generator, labels: NDArray[np.int64]) -> Array:
    """Grey values in [0, 1], (N, 16, 16): the share of each pixel that the shape covers, brightness, and noise."""
    size = draw.uniform(4.0, 5.5, len(labels))
    x, y = (_offsets(draw.uniform(7.0, 9.0, len(labels)), axis) / size[:, None, None] for axis in (1, 2))
    inside = np.empty((len(labels), _SIDE * _FINE, _SIDE * _FINE), dtype=bool)
    for label, shape in enumerate(_SHAPES):
        own = labels == label
        inside[own] = shape(x[own], y[own])
    cover = inside.reshape(-1, _SIDE, _FINE, _SIDE, _FINE).mean((2, 4))
    ground, light = draw.uniform(0.0, 0.15, len(labels)), draw.uniform(0.75, 1.0, len(labels))
    ground, light = ground[:, None, None], light[:, None, None]
    noise = draw.uniform(-0.08, 0.08, cover.shape)
    images: Array = np.clip(ground + (light - ground) * cover + noise, 0, 1)
    return images


def _offsets(centre: Array, axis: int) -> Array:
    """The coordinates of fine points along an axis, less those of the centres, (N, 64, 1) or (N, 1, 64)."""
    points = (np.arange(_SIDE * _FINE) + 0.5) / _FINE
    offsets: Array = np.expand_dims(points - centre[:, None], 3 - axis)
    return offsets


def _disc(x: Array, y: Array) -> NDArray[np.bool_]:
    return x**2 + y**2 <= 1


def _square(x: Array, y: Array) -> NDArray[np.bool_]:
    return np.maximum(abs(x), abs(y)) <= 0.9


def _triangle(x: Array, y: Array) -> NDArray[np.bool_]:
    return (abs(x) <= 1) & (abs(y) <= 0.5 * (x + 1))


def _cross(x: Array, y: Array) -> NDArray[np.bool_]:
    return (np.minimum(abs(x), abs(y)) <= 0.3) & (np.maximum(abs(x), abs(y)) <= 1)


# by class
_SHAPES = (_disc, _square, _triangle, _cross)
