"""Sides of the box of valid inputs: numbers, or tensors with a number for each channel, feature or pixel."""

from collections.abc import Callable, Iterable
from functools import reduce

import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.sets.arithmetic.outward import above, smallest
from inradius.sets.arithmetic.precision import upward

Side = float | Tensor
Box = tuple[Side, Side] | None


def beside(bounds: Box, x: Tensor) -> Box:
    """The box with sides that broadcast against x (B, *S): numbers, or tensors (1, ...) in their own type.

    A one-dimensional tensor runs along the first axis of S, the channels or features; any other broadcasts against S, or against
    x with a first axis of length 1. Raises ``InputError`` for a tensor that does not.
    """
    return None if bounds is None else (_beside(bounds[0], x), _beside(bounds[1], x))


def _beside(side: Side, x: Tensor) -> Side:
    if not isinstance(side, Tensor):
        return side
    shape, wanted = tuple(side.shape), tuple(x.shape[1:])
    if side.ndim == 1 and wanted and len(side) == wanted[0]:
        return side.detach().view(1, -1, *(1,) * (len(wanted) - 1))
    inner = shape[1:] if side.ndim == x.ndim and shape[0] == 1 else shape
    if len(inner) > len(wanted) or any(a not in (1, b) for a, b in zip(inner[::-1], wanted[::-1], strict=False)):
        raise InputError(
            f"bounds have a side of shape {shape} for inputs of shape {wanted}; allowed are a number, one for each of axis 0, "
            "and a tensor that broadcasts against an input"
        )
    return side.detach().reshape(1, *(1,) * (len(wanted) - len(inner)), *inner)


def row_box(bounds: Box, x: Tensor) -> Box:
    """The box beside the rows of x (B, *S): sides that are numbers, or tensors (1, 1, n) in their own type."""
    found = beside(bounds, x)
    if found is None:
        return None
    low, high = (side.expand(1, *x.shape[1:]).reshape(1, 1, -1) if isinstance(side, Tensor) else side for side in found)
    return low, high


def near(side: Side, like: Tensor) -> Side:
    """The side in the type and on the device of ``like``, rounded to nearest."""
    return side.to(like) if isinstance(side, Tensor) else side


def not_below(side: Side, like: Tensor) -> Side:
    """The side in the type and on the device of ``like``, rounded up, and to a number that no kernel takes for 0."""
    if not isinstance(side, Tensor):
        return above(side, like.dtype)
    few, found = smallest(like.dtype), upward(side, like.dtype)
    normal = torch.where(found > 0, found.clamp(min=few), torch.where(found > -few, torch.zeros_like(found), found))
    return normal.to(like.device)


def not_above(side: Side, like: Tensor) -> Side:
    """The side in the type and on the device of ``like``, rounded down, and to a number that no kernel takes for 0."""
    return -not_below(-side, like)


def clipped(x: Tensor, *, least: Side | None = None, most: Side | None = None) -> Tensor:
    """x with every number at least ``least`` and at most ``most``, of x's shape."""
    if least is not None:
        x = x.clamp(min=near(least, x))
    return x if most is None else x.clamp(max=near(most, x))


def width(bounds: Box) -> float:
    """The largest distance between the sides, infinite without a box."""
    if bounds is None:
        return torch.inf
    low, high = bounds
    if isinstance(low, Tensor) and isinstance(high, Tensor) and low.shape != high.shape:
        return float(high.max()) - float(low.min())
    span = high - low
    return float(span.max()) if isinstance(span, Tensor) else float(span)


def size(bounds: Box) -> Side:
    """The largest |number| between the sides at each place."""
    if bounds is None:
        return 0.0
    low, high = bounds
    if not isinstance(low, Tensor) and not isinstance(high, Tensor):
        return max(abs(low), abs(high))
    first, second = torch.broadcast_tensors(*(torch.as_tensor(side, dtype=torch.float64).abs() for side in bounds))  # type: ignore[no-untyped-call]
    return torch.maximum(first, second)


def common(boxes: Iterable[Box]) -> Box:
    """The box that lies in all of the boxes; None where there are none."""
    found = [box for box in boxes if box is not None]
    if not found:
        return None
    return _extreme([low for low, _ in found], max, torch.maximum), _extreme(
        [high for _, high in found], min, torch.minimum
    )


def _extreme(sides: list[Side], of_numbers: Callable[[float, float], float], of_tensors: Callable[..., Tensor]) -> Side:
    def further(one: Side, other: Side) -> Side:
        if not isinstance(one, Tensor) and not isinstance(other, Tensor):
            return of_numbers(one, other)
        return of_tensors(*(torch.as_tensor(side, dtype=torch.float64) for side in (one, other)))

    return reduce(further, together(sides))


def together(sides: list[Side]) -> list[Side]:
    """The sides as they broadcast against each other: one along the first axis of inputs gets the axes that others have."""
    axes = max(side.ndim if isinstance(side, Tensor) else 0 for side in sides)
    return [
        side.view(-1, *(1,) * (axes - 1)) if isinstance(side, Tensor) and side.ndim == 1 < axes else side
        for side in sides
    ]


def listed(bounds: Box) -> tuple[object, object] | None:
    """The box as numbers and lists, to compare and to print."""
    if bounds is None:
        return None
    low, high = (side.tolist() if isinstance(side, Tensor) else side for side in bounds)
    return low, high


def numbers_alone(bounds: Box) -> tuple[float, float] | None:
    """The box where both sides are numbers, else None."""
    if bounds is None or isinstance(bounds[0], Tensor) or isinstance(bounds[1], Tensor):
        return None
    return bounds[0], bounds[1]
