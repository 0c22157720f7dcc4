"""Inputs, labels and goals as they are given: tensors, arrays or lists."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from inradius.arguments import told
from inradius.errors import InputError
from inradius.models.outputs import takes

Given = Tensor | np.ndarray | list | tuple  # type: ignore[type-arg]


def as_inputs(given: object, model: nn.Module | Callable[[Tensor], Tensor]) -> Tensor:
    """The inputs (B, *S). Arrays and lists come to the type and the device of the model; a tensor stays as it is.

    Raises ``InputError`` for what is no array of floating-point numbers.
    """
    if isinstance(given, Tensor):
        found = given
    else:
        own = next((each for each in _parameters(model) if each.is_floating_point()), torch.zeros(()))
        found = _tensor(given, "the inputs")
        if found.is_floating_point():
            found = _typed(found.to(own.device), model, own.dtype)
    if not found.is_floating_point():
        raise InputError(
            f"the inputs are {found.dtype}; allowed are floating-point numbers, as pixels of 8 bits are after a division by 255"
        )
    return found


def as_labels(given: object, device: torch.device) -> Tensor:
    """The labels (B, ...) on a device. Raises ``InputError`` for what is no array."""
    return _tensor(given, "the labels").to(device)


def as_goals(given: object, count: int, device: torch.device) -> Tensor | None:
    """The goals (B,): one class for all inputs, or one for each; None for None."""
    if given is None:
        return None
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        return torch.full((count,), int(given), device=device)
    found = _tensor(given, "the goals").to(device)
    return found.expand(count) if found.ndim == 0 else found


def _typed(found: Tensor, model: nn.Module | Callable[[Tensor], Tensor], own: torch.dtype) -> Tensor:
    """The inputs in the type of the model's parameters, but in float32 where these are shorter and the model casts by itself."""
    if own in (torch.float16, torch.bfloat16) and takes(model, found[:1].float()):
        return found.float()
    return found.to(own)


def _parameters(model: object) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()] if isinstance(model, nn.Module) else []


def _tensor(given: object, what: str) -> Tensor:
    if isinstance(given, Tensor):
        return given
    if not isinstance(given, np.ndarray | list | tuple):
        raise InputError(f"{what} are {told(given)}; allowed is a tensor, a numpy array or a list")
    try:
        if isinstance(given, list | tuple) and any(isinstance(each, Tensor) for each in given):
            return torch.stack([torch.as_tensor(each) for each in given])
        array = np.asarray(given)
        # torch reads neither numbers in another order of bytes nor negative strides
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{what} are {type(given).__name__} that makes no tensor ({error}); allowed are numbers of one shape"
        ) from error
