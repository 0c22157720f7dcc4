"""Checks of arguments: one sentence for each mistake."""

import math
from contextlib import suppress

import torch
from torch import Tensor, nn

from inradius.errors import InputError
from inradius.models.initialised import check_initialised
from inradius.models.outputs import check_type
from inradius.sets.oracles import Oracles


def check_model(model: object, x: Tensor) -> None:
    """Raises ``InputError`` where the model is not a module, is lazy, or its type differs from that of the inputs."""
    if not isinstance(model, nn.Module):
        raise InputError(f"the model is {told(model)}; allowed is a torch.nn.Module")
    check_initialised(model)
    check_type(model, x)


def check_callable(model: object) -> None:
    """Raises ``InputError`` where the model cannot be called, or is lazy."""
    if not callable(model) or isinstance(model, type):
        raise InputError(
            f"the model is {told(model)}; allowed is a torch.nn.Module, or a function from images to logits"
        )
    check_initialised(model)


def check_tensor(given: object, name: str) -> None:
    """Raises ``InputError`` where an argument is not a tensor."""
    if not isinstance(given, Tensor):
        raise InputError(f"{name} is {told(given)}; allowed is a tensor")


def check_threat(threat: object) -> None:
    """Raises ``InputError`` where the threat is not a set of perturbations."""
    if not isinstance(threat, Oracles):
        raise InputError(
            f"the threat is {told(threat)}; allowed is a ThreatModel, as inradius.make('linf(eps=0.1)', ThreatModel) gives"
        )


def check_kind(given: object, kind: type, name: str) -> None:
    """Raises ``InputError`` where an argument is not of its kind."""
    if not isinstance(given, kind):
        raise InputError(f"the {name} is {told(given)}; allowed is a component of kind {kind.__name__}")


def check_flag(given: object, name: str) -> None:
    """Raises ``InputError`` where an argument is neither True nor False."""
    if not isinstance(given, bool):
        raise InputError(f"{name}={given!r} is not allowed; allowed are True and False")


def numbered(index: object, x: Tensor) -> Tensor:
    """The examples' numbers, (B,), 0 to B − 1 by default. Raises ``InputError`` unless there is one integer for each example."""
    if index is None:
        return torch.arange(len(x), device=x.device)
    if not isinstance(index, Tensor):
        raise InputError(f"index is {told(index)}; allowed is a tensor of one integer per example, ({len(x)},)")
    if index.shape != x.shape[:1] or index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
        raise InputError(
            f"index has shape {tuple(index.shape)} and type {index.dtype}; allowed is one integer per example, ({len(x)},)"
        )
    return index.to(x.device, torch.int64)


def told(given: object) -> str:
    """A description of a value for an error message."""
    if isinstance(given, Tensor):
        return f"{given.dtype} of shape {tuple(given.shape)}"
    text = repr(given)
    return f"a {type(given).__name__}" + (
        f", {text}" if isinstance(given, str | int | float) and len(text) < 40 else ""
    )


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(given: object) -> float | None:
    """A time in seconds from a number or a text such as "90", "30s", "10m" and "1.5h"; None stays None.

    Raises ``InputError`` for anything else, and for a time that is not above 0.
    """
    if given is None:
        return None
    found = math.nan
    if isinstance(given, str):
        number, unit = (given[:-1], given[-1]) if given[-1:] in _UNITS else (given, "s")
        with suppress(ValueError):
            found = float(number) * _UNITS[unit]
    elif isinstance(given, int | float) and not isinstance(given, bool):
        found = float(given)
    if not 0 < found < math.inf:
        raise InputError(f"time={given!r} is no time; allowed are seconds above 0, also as '30s', '10m' or '1.5h'")
    return found
