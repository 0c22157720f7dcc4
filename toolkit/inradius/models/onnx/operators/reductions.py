"""Sums, means, extremes and norms along axes."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from inradius.models.onnx.call import Apply, Call

# a tensor, axes, and whether they stay with length 1
Along = Callable[[Tensor, list[int], bool], Tensor]


def _axes(call: Call) -> list[int]:
    """The axes of a reduction, as negative numbers; an empty list for a node that reduces nothing."""
    rank = call.operand(0).rank
    given = call.ints("axes", 1)
    if given:
        return call.axes(given)
    return [] if call.attribute("noop_with_empty_axes", 0) else list(range(-rank, 0))


def _reduction(function: Along, of_each: Callable[[Tensor], Tensor] | None = None) -> Callable[[Call], Apply]:
    """The lowering of a reduction. ``of_each`` is applied to each number where there are no axes to reduce."""

    def lower(call: Call) -> Apply:
        axes, keep = _axes(call), bool(call.attribute("keepdims", 1))
        if not axes:
            return lambda x, *_: x if of_each is None else of_each(x)
        return lambda x, *_: function(x, axes, keep)

    return lower


def own_type(x: Tensor) -> torch.dtype | None:
    """The type of integers, so that torch keeps it in sums, where it would widen it; None for floating-point numbers."""
    return None if x.dtype.is_floating_point else x.dtype


def _prod(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    found = reduce(lambda value, axis: value.prod(axis, keepdim=True, dtype=own_type(x)), axes, x)
    return found if keep else found.squeeze(tuple(axes))


def _arg(function: Any) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        """The place of an extreme along an axis, the first one."""
        axis, keep = call.axis(int(call.attribute("axis", 0))), bool(call.attribute("keepdims", 1))
        if call.attribute("select_last_index", 0):
            call.refuse("asks for the last of equal extremes; allowed is the first")
        return lambda x: function(x, axis, keepdim=keep)

    return lower


REDUCTIONS: dict[str, Callable[[Call], Apply]] = {
    "ReduceSum": _reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep, dtype=own_type(x))),
    "ReduceMean": _reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "ReduceMax": _reduction(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "ReduceProd": _reduction(_prod),
    "ReduceL1": _reduction(lambda x, axes, keep: x.abs().sum(axes, keepdim=keep), torch.abs),
    "ReduceL2": _reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep), torch.abs),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: x.square().sum(axes, keepdim=keep), torch.square),
    "ReduceLogSum": _reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep).log(), torch.log),
    "ReduceLogSumExp": _reduction(lambda x, axes, keep: torch.logsumexp(x, axes, keep)),
    "ArgMax": _arg(torch.argmax),
    "ArgMin": _arg(torch.argmin),
}
