"""Answers of oracles from algorithms on rows: precision, blocks of work, and the gradient of a support function."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from inradius.arithmetic.blocks import in_blocks
from inradius.arithmetic.precision import toward_zero, upward, working


def rows_of(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Each example as one row in the precision of computation, (B, *S) -> (B, 1, n)."""
    return x.to(working(dtype)).reshape(len(x), 1, x.shape[1:].numel())


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

    The kernel takes rows (B, K, n) and ``cell``; it answers (value,), and with ``slope=True`` (value, maximiser).
    """
    rows = c.flatten(2)
    wanted = torch.is_grad_enabled() and rows.requires_grad
    with torch.no_grad():
        answers = in_blocks(partial(kernel, slope=wanted), rows.to(cell[0].dtype), *cell)
        bound = upward(answers[0], rows.dtype)
    if not wanted:
        return bound
    linear = (rows * answers[1].to(rows.dtype)).sum(-1)
    return bound + (linear - linear.detach())
