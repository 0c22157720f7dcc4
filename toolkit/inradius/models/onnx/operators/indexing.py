"""Numbers taken from places, and constants that are made of numbers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.limits import check_size
from inradius.models.onnx.operators.broadcast import unflattened
from inradius.models.onnx.operators.reductions import own_type


def _gather(call: Call) -> Apply:
    """The slices of a tensor along an axis at the places that an index says."""
    data, index = call.operand(0), call.operand(1)
    axis = call.axis(int(call.attribute("axis", 0)))
    length = data.shape[axis]
    if index.constant is None:
        if data.batch is not None or axis != -data.rank:
            call.refuse(
                "takes places that depend on the network's input from an axis that is not the first of a constant"
            )
        return lambda data, index: unflattened(F.embedding(index, data.flatten(1)), -1, tuple(data.shape[1:]))
    places = call.static(1).long()
    if places.numel() and not -length <= int(places.min()) <= int(places.max()) < length:
        call.refuse(f"takes places of an axis with {length} that it does not have")
    places = places % max(length, 1)
    if places.dim() == 0:
        place = int(places)
        return lambda data, *_: data.select(axis, place)
    call.add(places.reshape(-1))
    shape = tuple(places.shape)
    check_size((*data.shape[:axis], *shape, *data.shape[data.rank + axis + 1 :]))
    if places.dim() == 1:
        return lambda data, _, places: data.index_select(axis, places)
    return lambda data, _, places: unflattened(data.index_select(axis, places), axis, shape)


def _gather_elements(call: Call) -> Apply:
    """The numbers of a tensor along an axis at constant places, one for each number."""
    data, axis = call.operand(0), call.axis(int(call.attribute("axis", 0)))
    places = call.static(1).long()
    length = data.shape[axis]
    if places.dim() != data.rank or (places.numel() and not -length <= int(places.min()) <= int(places.max()) < length):
        call.refuse("takes places that its tensor does not have")
    call.add(places % max(length, 1))
    if data.batch is None:
        return lambda data, _, places: data.gather(axis, places)
    if not call.outside and places.shape[data.batch] != 1:
        call.refuse("takes places for more than one example")
    place = 0 if call.outside else data.batch

    def apply(data: Tensor, _: Any, places: Tensor) -> Tensor:
        count, own = data.shape[place], places.unsqueeze(0) if call.outside else places
        return data.gather(axis, own.expand(*own.shape[:place], count, *own.shape[place + 1 :]))

    return apply


def _constant_of_shape(call: Call) -> Apply:
    """One number in a shape."""
    shape, value = call.numbers(0), call.attribute("value", torch.zeros(1))
    if value.numel() != 1 or min(shape, default=0) < 0:
        call.refuse("fills a shape with more than one number, or one with a negative length")
    check_size(shape)
    return lambda *_: torch.full(shape, value.item(), dtype=value.dtype)


def _range(call: Call) -> Apply:
    """Numbers from one to another in steps."""
    start, limit, step = (call.number(index) for index in range(3))
    if step == 0:
        call.refuse("counts in steps of 0")
    dtype = call.operand(0).dtype
    count = max(-(-(limit - start) // step), 0)
    check_size([int(count)])
    return lambda *_: (
        torch.arange(int(count), dtype=torch.float64 if dtype.is_floating_point else torch.int64) * step + start
    ).to(dtype)


def _one_hot(call: Call) -> Apply:
    """Two numbers: one at the place that a constant index says, the other elsewhere."""
    index, depth = call.static(0), int(call.number(1))
    off, on = call.numbers(2)
    rank = index.dim() + 1
    axis = call.axis(int(call.attribute("axis", -1)), rank)
    check_size((*index.shape, depth))
    places, dtype = index.long().where(index >= 0, index.long() + depth), call.operand(2).dtype
    hit = places.unsqueeze(axis) == torch.arange(depth).reshape(-1, *(1,) * (-axis - 1))
    made = torch.where(hit, torch.tensor(on, dtype=dtype), torch.tensor(off, dtype=dtype))
    return lambda *_: made


def _eye_like(call: Call) -> Apply:
    """Ones on a diagonal, zeros elsewhere."""
    x, k = call.operand(0), int(call.attribute("k", 0))
    if x.rank != 2 or "dtype" in call.node.attributes or x.batch is not None:
        call.refuse("makes no matrix, or another type than its input's, or looks at a value that depends on the input")
    call.used.add(0)
    return lambda *_: (_diagonals(x.shape) == k).to(x.dtype)


def _diagonals(shape: tuple[int, ...]) -> Tensor:
    """The number of the diagonal that each number of a matrix lies on, 0 for the main one."""
    return torch.arange(shape[-1]) - torch.arange(shape[-2]).unsqueeze(1)


def _trilu(call: Call) -> Apply:
    """The part of a matrix on one side of a diagonal, zeros elsewhere."""
    k, upper = int(call.number(1, 0)), bool(call.attribute("upper", 1))
    x = call.operand(0)
    if x.rank < 2:
        call.refuse("cuts a tensor that is no matrix")
    diagonals = _diagonals(x.shape)
    call.add(diagonals >= k if upper else diagonals <= k)
    return lambda x, *rest: torch.where(rest[-1], x, torch.zeros((), dtype=x.dtype, device=x.device))


def _cum_sum(call: Call) -> Apply:
    """Sums of all numbers up to each along an axis, in either direction."""
    axis = call.axis(int(call.number(1)))
    exclusive, reverse = bool(call.attribute("exclusive", 0)), bool(call.attribute("reverse", 0))

    def apply(x: Tensor, *_: Any) -> Tensor:
        turned = x.flip(axis) if reverse else x
        found = turned.cumsum(axis, dtype=own_type(x))
        found = found - turned if exclusive else found
        return found.flip(axis) if reverse else found

    return apply


def _non_zero(call: Call) -> Apply:
    """The places of the numbers of a constant that are not 0."""
    found = call.static(0).nonzero().t().contiguous()
    return lambda *_: found


INDEXING: dict[str, Callable[[Call], Apply]] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "OneHot": _one_hot,
    "EyeLike": _eye_like,
    "Trilu": _trilu,
    "CumSum": _cum_sum,
    "NonZero": _non_zero,
}
