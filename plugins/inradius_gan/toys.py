"""Distributions in the plane for testing generators."""

import math

import torch
from torch import Tensor

from inradius import Dataset, InputError


def eight_gaussians(n: int = 1000, noise: float = 0.02, radius: float = 2.0, seed: int = 0) -> Dataset:
    """Points around eight centres on a circle, labelled by their centre, (n, 2) without a box of valid inputs.

    Different seeds give independent samples, for example one for training and one for evaluation. Source:
    gulrajani2017.
    """
    turns = torch.arange(8) * (2 * math.pi / 8)
    centres = radius * torch.stack([turns.cos(), turns.sin()], dim=1)
    return _mixture(f"eight_gaussians(n={n}, noise={noise}, radius={radius}, seed={seed})", centres, n, noise, seed)


def gaussian_grid(n: int = 1000, noise: float = 0.05, side: int = 5, seed: int = 0) -> Dataset:
    """Points around the centres of a square grid with distance 1, labelled by their centre, (n, 2) without a box.

    Source: gulrajani2017.
    """
    if side < 1:
        raise InputError(f"side={side} is not allowed; allowed is a number of centres ≥ 1")
    places = torch.arange(side) - (side - 1) / 2
    centres = torch.cartesian_prod(places, places)
    return _mixture(f"gaussian_grid(n={n}, noise={noise}, side={side}, seed={seed})", centres, n, noise, seed)


def swiss_roll(n: int = 1000, noise: float = 0.03, seed: int = 0) -> Dataset:
    """Points along a spiral of one and a half turns, r = t / 7.5 for t from 3π/2 to 9π/2, (n, 2) without a box.

    All labels are 0. Source: gulrajani2017.
    """
    generator = _generator(n, noise, seed)
    t = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=generator))
    spiral = torch.stack([t * t.cos(), t * t.sin()], dim=1) / 7.5
    points = spiral + noise * torch.randn(n, 2, generator=generator)
    name = f"swiss_roll(n={n}, noise={noise}, seed={seed})"
    return Dataset.of(points, torch.zeros(n, dtype=torch.int64), bounds=None, name=name)


def _mixture(name: str, centres: Tensor, n: int, noise: float, seed: int) -> Dataset:
    """Normal points around centres that are equally likely."""
    generator = _generator(n, noise, seed)
    labels = torch.randint(len(centres), (n,), generator=generator)
    points = centres[labels] + noise * torch.randn(n, 2, generator=generator)
    return Dataset.of(points, labels, bounds=None, name=name)


def _generator(n: int, noise: float, seed: int) -> torch.Generator:
    if n < 2 or noise < 0:
        raise InputError(f"n={n} and noise={noise} are not allowed; allowed are n ≥ 2 and noise ≥ 0")
    return torch.Generator().manual_seed(seed)
