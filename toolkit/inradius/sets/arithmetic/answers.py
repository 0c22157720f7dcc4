"""Answers of oracles from algorithms on rows: precision, blocks of work, and the gradient of a support function."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from inradius.sets.arithmetic.bits import widened
from inradius.sets.arithmetic.blocks import in_blocks
from inradius.sets.arithmetic.precision import toward_zero, upward, working
from inradius.sets.arithmetic.rooms import both, stirs, within
from inradius.sets.arithmetic.underflow import recovered


def rows_of(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Each example as one row in the precision of computation, (B, *S) -> (B, 1, n)."""
    return widened(x, working(dtype)).reshape(len(x), 1, x.shape[1:].numel())


def point(kernel: Callable[..., Tensor], v: Tensor, x: Tensor, *cell: Tensor) -> Tensor:
    """The kernel's points for v (B, *S) around x (B, *S), without gradient and rounded towards 0, (B, *S).

    The kernel takes rows (B, 1, n) and whatever ``cell`` has beside them.
    """
    with torch.no_grad():
        dtype = torch.promote_types(v.dtype, x.dtype)
        (found,) = in_blocks(lambda *part: (kernel(*part),), rows_of(v, dtype), *cell)
        return toward_zero(found, dtype).view(x.shape)


def value(kernel: Callable[..., tuple[Tensor, ...]], c: Tensor, *cell: Tensor) -> Tensor:
    """The kernel's upper bounds for directions c (B, K, *S), rounded upwards, with its slopes as their gradient, (B, K).

    The kernel takes rows (B, K, n) and ``cell``; it answers (value,), and with ``slope=True`` (value, maximiser). Where numbers
    are too large for it the bound is infinite.
    """
    return _sloped(kernel, c, cell, lambda bound: bound)


def value_in_room(
    kernel: Callable[..., tuple[Tensor, ...]], c: Tensor, low: Tensor, high: Tensor, *cell: Tensor
) -> Tensor:
    """``value`` for a cell that begins with room. The kernel answers (value, raised), and with ``slope`` also a maximiser.

    ``raised`` is the bound; it becomes 0 where no entry of a direction has room.
    """

    def bound(value: Tensor, raised: Tensor) -> Tensor:
        return recovered(value, raised, lambda at: stirs(c.flatten(2), low, high, at))

    return _sloped(kernel, c, (low, high, *cell), bound)


def _sloped(
    kernel: Callable[..., tuple[Tensor, ...]], c: Tensor, cell: tuple[Tensor, ...], bound_of: Callable[..., Tensor]
) -> Tensor:
    rows = c.flatten(2)
    wanted = torch.is_grad_enabled() and rows.requires_grad
    with torch.no_grad():
        answers = in_blocks(partial(kernel, slope=wanted), widened(rows, cell[0].dtype), *cell)
        bound = finite_or_above(bound_of(*answers[: len(answers) - wanted]), rows.dtype)
    return sloped(bound, rows, answers[-1]) if wanted else bound


def finite_or_above(bound: Tensor, dtype: torch.dtype) -> Tensor:
    """An upper bound in ``dtype``, infinite where it overflowed on the way."""
    return upward(bound.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.finfo(bound.dtype).min), dtype)


def sloped(bound: Tensor, rows: Tensor, slope: Tensor) -> Tensor:
    """The bound (B, K) with a maximiser (B, K, n) as its gradient in the rows (B, K, n)."""
    linear = (rows * slope.to(rows.dtype)).sum(-1)
    return bound + (linear - linear.detach()).nan_to_num(nan=0.0)


def room_span(c: Tensor, low: Tensor, high: Tensor, lost: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds on ⟨c, δ⟩ within room, (B, K, *S), two of (B, 1, n) and (B, 1, 1) -> two of (B, K)."""
    rows = c.flatten(2)
    if torch.is_grad_enabled() and rows.requires_grad:
        return -value_in_room(within, -c, low, high, lost), value_in_room(within, c, low, high, lost)
    least, lowered, largest, raised = in_blocks(both, widened(rows, low.dtype), low, high, lost)
    down = recovered(least, lowered, lambda at: stirs(rows, high, low, at))
    up = recovered(largest, raised, lambda at: stirs(rows, low, high, at))
    return -finite_or_above(down, c.dtype), finite_or_above(up, c.dtype)
