"""Operators that move numbers without changing them, so that the examples of a batch stay apart."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inradius.models.onnx.call import EXAMPLES, Apply, Call
from inradius.models.onnx.limits import check_size


def reshaped(call: Call, target: Sequence[int], several: Sequence[int] | None = None) -> Apply:
    """The input in another shape; ``target`` is that of one example, ``several`` that of three where the file says it.

    The examples lie one after another in the axis that holds them, or in each of its parts; in the new shape they do so at
    the same distance from the start.
    """
    x = call.operand(0)
    if math.prod(target) != math.prod(x.shape):
        call.refuse(f"makes the shape {tuple(target)} of the shape {x.shape}; allowed are shapes of the same size")
    if x.batch is None:
        return lambda x, *_: x.reshape(tuple(target))
    if call.outside:
        return lambda x, *_: x.reshape(-1, *target)
    allowed = [
        (place, major)
        for place, major in _places(target, math.prod(x.shape[: x.batch]) * x.major, x.batch)
        if several is None or list(several) == _grown(target, place)
    ]
    if not allowed:
        call.refuse(
            f"mixes the examples of a batch: it makes the shape {tuple(several or target)} of the shape {x.shape}"
        )
    place, call.major = allowed[0]
    if (
        place == 0
        and x.batch == 0
        and 1 < len(target) <= x.rank
        and list(x.shape[: len(target) - 1]) == list(target[:-1])
    ):
        return lambda x, *_: x.flatten(len(target) - 1)
    sizes = [-1 if axis == place else length for axis, length in enumerate(target)]
    return lambda x, *_: x.reshape(sizes)


def _places(target: Sequence[int], before: int, batch: int) -> list[tuple[int, int]]:
    """The axes that may hold the examples, each with the number of its parts, the likeliest first.

    ``before`` is the count of parts before the examples. An axis of length 1 holds nothing else: best is that in the same
    place. The last axis holds features rather than examples, if there is a choice.
    """
    starts = [math.prod(target[:axis]) for axis in range(len(target))]
    found = [
        (axis, before // start)
        for axis, (start, length) in enumerate(zip(starts, target, strict=True))
        if start and before % start == 0 and length % (before // start) == 0
    ]

    def unlikely(entry: tuple[int, int]) -> tuple[bool, bool, bool, int, int]:
        axis, major = entry
        alone = target[axis] == 1
        return not (alone and axis == batch), not alone, axis == len(target) - 1, major, axis

    return sorted(found, key=unlikely)


def _grown(shape: Sequence[int], axis: int) -> list[int]:
    """The shape for three examples, which lie along an axis."""
    return [length * EXAMPLES if place == axis else length for place, length in enumerate(shape)]


def _resolved(call: Call, target: Sequence[int], shape: Sequence[int], *, zero_copies: bool) -> list[int]:
    """The lengths that 0 (that of the input) and −1 (what is left) stand for."""
    if zero_copies and any(n == 0 and axis >= len(shape) for axis, n in enumerate(target)):
        call.refuse(f"copies a length that the shape {tuple(shape)} does not have")
    found = [shape[axis] if n == 0 and zero_copies else n for axis, n in enumerate(target)]
    if any(n < -1 for n in found) or found.count(-1) > 1:
        call.refuse(f"has the shape {list(target)}; allowed are lengths and one -1")
    if -1 in found:
        rest = math.prod(n for n in found if n != -1)
        if rest == 0 or math.prod(shape) % rest:
            call.refuse(
                f"makes the shape {list(target)} of the shape {tuple(shape)}; allowed are shapes of the same size"
            )
        found[found.index(-1)] = math.prod(shape) // rest
    return found


def _stated_shape(call: Call) -> list[int]:
    """The shape that the second operand states, which must be a constant."""
    shape = call.operand(1)
    if shape.constant is None:
        call.refuse("takes its shape from the network's input; allowed is a constant")
    if shape.rank != 1:
        call.refuse(f"takes its shape from a tensor of shape {shape.shape}; allowed is one axis")
    call.used.add(1)
    return [int(n) for n in shape.constant.tolist()]


def _reshape(call: Call) -> Apply:
    """The input in the shape that a constant says; 0 copies a length, −1 is what is left."""
    x, stated, several = call.operand(0), _stated_shape(call), call.operand(1).several
    zero_copies = not call.attribute("allowzero", 0)
    target = _resolved(call, stated, x.shape, zero_copies=zero_copies)
    if x.batch is None or call.outside or (several is None and call.fixed):
        return reshaped(call, target)
    grown, lengths = _grown(x.shape, x.batch), stated if several is None else several.tolist()
    return reshaped(call, target, _resolved(call, lengths, grown, zero_copies=zero_copies))


def _flatten(call: Call) -> Apply:
    """A matrix: the axes before one, and those from it on."""
    shape = call.operand(0).shape
    axis = int(call.attribute("axis", 1))
    if not (-len(shape) if call.opset >= 11 else 0) <= axis <= len(shape):
        call.refuse(f"has the axis {axis} where there are {len(shape)} axes")
    axis = axis + len(shape) if axis < 0 else axis
    batch = call.operand(0).batch
    if not call.fixed and not call.outside and batch is not None and axis <= batch:
        call.refuse("mixes the examples of a batch: it joins their axis to others")
    return reshaped(call, [math.prod(shape[:axis]), math.prod(shape[axis:])])


def _squeeze(call: Call) -> Apply:
    """The input without axes of length 1."""
    x = call.operand(0)
    given = call.ints("axes", 1)
    axes = call.axes(given) if given is not None else [axis - x.rank for axis, n in enumerate(x.shape) if n == 1]
    if any(x.shape[axis] != 1 for axis in axes):
        call.refuse(f"takes away axes of the shape {x.shape} that are longer than 1")
    if x.batch is not None and not call.outside and x.batch - x.rank in axes:
        call.refuse("takes away the axis of the examples")
    return lambda x, *_: x.squeeze(tuple(axes)) if axes else x


def _unsqueeze(call: Call) -> Apply:
    """The input with more axes of length 1."""
    given = call.ints("axes", 1, [])
    rank = call.operand(0).rank + len(given)
    # the last one first, as each counts from the end of the result
    axes = sorted(call.axes(given, rank), reverse=True)

    def apply(x: Tensor, *_: Tensor | None) -> Tensor:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    return apply


def _transpose(call: Call) -> Apply:
    """The input with its axes in another order."""
    rank = call.operand(0).rank
    order = call.axes(call.attribute("perm", list(range(rank))[::-1]))
    if len(order) != rank:
        call.refuse(f"orders {len(order)} axes where there are {rank}")
    if call.outside:
        return lambda x: x.permute(0, *(axis + rank + 1 for axis in order))
    return lambda x: x.permute([axis + rank for axis in order])


def _expand(call: Call) -> Apply:
    """The input repeated along axes of length 1, to a shape that broadcasts with its own."""
    x, lengths = call.operand(0), _stated_shape(call)
    rank = max(len(lengths), x.rank)
    wide = [1] * (rank - len(lengths)) + lengths
    own = [1] * (rank - x.rank) + list(x.shape)
    if any(n < 0 for n in lengths) or any(a != b and 1 not in (a, b) for a, b in zip(wide, own, strict=True)):
        call.refuse(f"makes the shape {tuple(lengths)} of the shape {x.shape}")
    if x.batch is None:
        target = [b if a == 1 else a for a, b in zip(wide, own, strict=True)]
        check_size(target)
        return lambda x, *_: x.expand(target)
    # an axis that keeps its length is left alone, so that the examples' axis may have any
    sizes = [-1 if a == 1 or a == b else a for a, b in zip(wide, own, strict=True)]
    sizes = [n if axis >= rank - x.rank else wide[axis] for axis, n in enumerate(sizes)]
    return lambda x, *_: x.expand(-1, *sizes) if call.outside else x.expand(sizes)


def _shape(call: Call) -> Apply:
    """The lengths of the axes, from one to another."""
    start, end = call.attribute("start", 0), call.attribute("end", None)
    return lambda x: torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


def _size(call: Call) -> Apply:
    """The count of numbers."""
    return lambda x: torch.tensor(x.numel(), dtype=torch.int64)


SHAPES: dict[str, Callable[[Call], Apply]] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Expand": _expand,
    "Shape": _shape,
    "Size": _size,
}
