"""The coordinates that a ball may move: a mask from a file, one for all examples or one for each."""

from functools import lru_cache
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius import InputError
from inradius.sets.numbers import load, name_of, reference

_ALLOWED = (
    "allowed is the name of a .npy file of zeros and ones, of an input's shape or with a first axis for the examples"
)


def as_mask(value: object) -> object:
    """A file's name with the hash of what is in it; anything else as it is, for the validator."""
    return reference(value) if isinstance(value, str) else value


def mask(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts None and the reference of a file of zeros and ones."""
    if value is None:
        return
    if not isinstance(value, str):
        raise ValueError(f"{field.name}={value!r} is no mask; {_ALLOWED}, or None")
    found = load(value)
    if not found.ndim or not bool(((found == 0) | (found == 1)).all()):
        raise ValueError(f"{name_of(value)} has numbers other than 0 and 1; {_ALLOWED}")


def free(value: str | None, x: Tensor) -> Tensor | None:
    """True where inputs like x (B, *S) may move, (1, 1, n); None where they may move everywhere.

    Raises ``InputError`` for a mask that has another shape, or one for each example.
    """
    if value is None:
        return None
    if masks_examples(value, x):
        raise InputError(
            f"{name_of(value)} has a mask for each example, so its set must know which examples these are; "
            "allowed are attacks, certifiers and brackets with index=..., and the set's at(index, x)"
        )
    return _shared(value, tuple(x.shape[1:]), x.device)


def masks_examples(value: str, x: Tensor) -> bool:
    """True where the file has a mask for each example of data like x (B, *S); raises ``InputError`` where it does not fit."""
    shape, wanted = tuple(load(value).shape), tuple(x.shape[1:])
    inner = shape[1:] if len(shape) == x.ndim else shape
    if len(inner) > len(wanted) or any(a not in (1, b) for a, b in zip(inner[::-1], wanted[::-1], strict=False)):
        raise InputError(f"{name_of(value)} has shape {shape} for inputs of shape {wanted}; {_ALLOWED}")
    return len(shape) == x.ndim


def of_examples(value: str, index: Tensor) -> Tensor:
    """The masks of the examples with these numbers in the data, (B, *S)."""
    masks = load(value)
    if len(index) and (int(index.max()) >= len(masks) or int(index.min()) < 0):
        raise InputError(
            f"{name_of(value)} has masks for {len(masks)} examples, but example {int(index.max())} was asked for; "
            "allowed is a mask for every example of the data"
        )
    return masks[index.cpu()] != 0


@lru_cache(maxsize=16)
def _shared(value: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    return (load(value) != 0).expand(shape).reshape(1, 1, -1).to(device)


def within_mask(low: Tensor, high: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The room with none outside of the mask, two of (B, 1, n)."""
    return masked(low, mask), masked(high, mask)


def masked(rows: Tensor, mask: Tensor | None) -> Tensor:
    """The rows with 0 outside of the mask, of their shape."""
    return rows if mask is None else torch.where(mask, rows, 0)


def outside(delta: Tensor, mask: Tensor) -> Tensor:
    """The largest |δ| outside of the mask, (B, *S) -> (B,)."""
    return torch.where(mask, 0, delta.detach().abs().reshape(len(delta), 1, -1)).amax((1, 2))
