"""Checks of what an attack is given, and of what it answers."""

import inspect
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from inradius.arguments import check_tensor
from inradius.errors import InputError, PluginError
from inradius.sets.examples import expand


def check_perturb(attack: object, perturb: Callable[..., Any]) -> None:
    """Raises ``PluginError`` where an attack's perturb takes other parameters than (batch, observe)."""
    if not _takes_a_batch(perturb):
        raise PluginError(
            f"{attack} has perturb{inspect.signature(perturb)}; allowed is perturb(self, batch, *, observe=None), "
            "where batch has model, x, y, goal, threat, rng, start and rows"
        )


@lru_cache(maxsize=1024)
def _takes_a_batch(perturb: Callable[..., Any]) -> bool:
    try:
        inspect.signature(perturb).bind(None, None, observe=None)
    except TypeError:
        return False
    return True


def without_infinities(attack: object, delta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The answer with 0 for the examples that have NaN or infinite values, and the examples that have none, (B, *S), (B,)."""
    if delta.shape != x.shape:
        raise InputError(f"{attack} returned a perturbation of shape {tuple(delta.shape)}; it must be {tuple(x.shape)}")
    if math.isfinite(float(delta.sum())):
        return delta, torch.ones(len(delta), dtype=torch.bool, device=delta.device)
    finite = torch.isfinite(delta).flatten(1).all(1)
    return torch.where(expand(finite, delta), delta, torch.zeros_like(delta)), finite


def check_start(x: Tensor, start: Tensor | None) -> None:
    """Raises ``InputError`` where there are starts that are no finite perturbations of the inputs."""
    if start is None:
        return
    check_tensor(start, "start")
    if start.shape != x.shape:
        raise InputError(f"start has shape {tuple(start.shape)}; allowed is that of the inputs, {tuple(x.shape)}")
    if not bool(torch.isfinite(start).all()):
        raise InputError("start has NaN or infinite values; allowed are finite perturbations")
