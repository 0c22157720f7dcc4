"""Tensors put together, cut to pieces, surrounded and repeated."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.limits import check_size
from inradius.models.onnx.operators.broadcast import on_images, unflattened


def _concat(call: Call) -> Apply:
    """Tensors one after another along an axis; constants are repeated for each example."""
    given = [operand for operand in call.operands if operand is not None]
    like = next((operand for operand in given if operand.batch is not None), given[0])
    axis = call.axis(int(call.attribute("axis", 1)), like.rank)
    if any(operand.rank != like.rank for operand in given):
        call.refuse("joins tensors with different numbers of axes")
    constant = [operand.batch is None for operand in given]
    if like.batch is None or not any(constant):
        return lambda *tensors: torch.cat(tensors, axis)
    place, first, outside = like.batch, given.index(like), call.outside
    if not outside and any(operand.batch is None and operand.shape[place] != 1 for operand in given):
        call.refuse("joins a constant with more than one example to the network's values")

    def apply(*tensors: Tensor) -> Tensor:
        count = tensors[first].shape[place]
        return torch.cat(
            [_for_examples(t, place, count, outside) if c else t for t, c in zip(tensors, constant, strict=True)], axis
        )

    return apply


def _for_examples(x: Tensor, place: int, count: int, outside: bool) -> Tensor:
    """A constant repeated along the axis of the examples."""
    if outside:
        return x.unsqueeze(0).expand(count, *x.shape)
    return x.expand(*x.shape[:place], count, *x.shape[place + 1 :])


def _split(call: Call) -> Apply:
    """Pieces along an axis: of stated lengths, or as equal as can be."""
    x, axis = call.operand(0), call.axis(int(call.attribute("axis", 0)))
    length, outputs = x.shape[axis], len(call.node.outputs)
    given = call.ints("split", 1)
    if given is None:
        count = int(call.attribute("num_outputs", outputs))
        if count != outputs or count < 1:
            call.refuse(f"has {outputs} outputs and says {count}")
        if call.opset < 18 and length % count:
            call.refuse(f"splits the length {length} into {count} equal pieces")
        each = -(-length // count)
        given = [max(min(each, length - i * each), 0) for i in range(count)]
    if sum(given) != length or len(given) != outputs or min(given) < 0:
        call.refuse(f"splits the length {length} into {given} for {outputs} outputs")
    return lambda x, *_: tuple(x.split(given, axis))


def _slice(call: Call) -> Apply:
    """A range of places along some axes, with steps of either sign."""
    x = call.operand(0)
    if call.opset < 10:
        starts, ends, axes = (call.attribute(name) for name in ("starts", "ends", "axes"))
        steps = None
    else:
        starts, ends = call.numbers(1), call.numbers(2)
        axes = call.numbers(3) if call.has(3) else None
        steps = call.numbers(4) if call.has(4) else None
    axes = call.axes(list(range(len(starts))) if axes is None else axes)
    steps = [1] * len(axes) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        call.refuse("has starts, ends, axes and steps of different numbers, or a step of 0")
    parts = [
        (axis, *_bounds(x.shape[axis], start, end, step), step)
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    ]
    kept = [part for part in parts if part[1:] != (0, x.shape[part[0]], 1)]
    return lambda x, *_: _sliced(x, kept)


def _bounds(length: int, start: int, end: int, step: int) -> tuple[int, int]:
    """The first place and the one behind the last; with a step below 0 in the axis turned round, as torch has no such steps."""
    start, end = (n + length if n < 0 else n for n in (start, end))
    if step > 0:
        first, behind = min(max(start, 0), length), min(max(end, 0), length)
    else:
        first, behind = (length - 1 - min(max(n, -1), length - 1) for n in (start, end))
    return first, max(behind, first)


def _sliced(x: Tensor, parts: Sequence[tuple[int, int, int, int]]) -> Tensor:
    for axis, first, behind, step in parts:
        x = torch.ops.aten.slice(x if step > 0 else x.flip(axis), axis, first, behind, abs(step))
    return x


def _pad(call: Call) -> Apply:
    """The input with more around it: a number, its reflection, its edge, or its other end."""
    x = call.operand(0)
    mode = call.choose("mode", "constant", ("constant", "reflect", "edge", "wrap"))
    pads = call.ints("pads", 1)
    value = call.attribute("value", 0.0) if call.opset < 11 else call.number(2, 0)
    axes = call.axes(call.numbers(3)) if call.has(3) else list(range(-x.rank, 0))
    if pads is None or len(pads) != 2 * len(axes):
        call.refuse("has other than two numbers of margins for each axis")
    margins = {
        axis: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes) if (pads[i], pads[i + len(axes)]) != (0, 0)
    }
    if any(x.shape[axis] + a + b < 0 for axis, (a, b) in margins.items()):
        call.refuse("takes away more than there is")
    check_size(n + sum(margins.get(axis - x.rank, (0, 0))) for axis, n in enumerate(x.shape))
    if mode == "constant":
        flat = [n for axis in range(-1, min(margins, default=0) - 1, -1) for n in margins.get(axis, (0, 0))]
        return lambda x, *_: F.pad(x, flat, value=value) if flat else x
    if any(min(ends) < 0 for ends in margins.values()):
        # what is around a part of the input is read in other ways by others
        call.refuse(f"takes numbers away at one end in mode {mode}")
    places = {axis: _places(call, x.shape[axis], a, b, mode) for axis, (a, b) in margins.items()}
    for index in places.values():
        call.add(index)
    along = list(places)

    def apply(x: Tensor, *rest: Tensor | None) -> Tensor:
        for axis, index in zip(along, rest[len(rest) - len(along) :], strict=True):
            assert index is not None
            x = x.index_select(axis, index)
        return x

    return apply


def _places(call: Call, length: int, before: int, after: int, mode: str) -> Tensor:
    """The places of an axis that its margins and itself take their numbers from."""
    if length == 0 or (mode == "reflect" and max(before, after) >= length):
        call.refuse(f"adds margins of {before} and {after} to the length {length} by {mode}")
    places = torch.arange(-before, length + after)
    if mode == "edge":
        return places.clamp(0, length - 1)
    if mode == "wrap":
        return places % length
    places = places.abs()
    return torch.where(places < length, places, 2 * (length - 1) - places)


def _tile(call: Call) -> Apply:
    """The input repeated along its axes."""
    repeats, x = call.numbers(1), call.operand(0)
    if len(repeats) != x.rank or min(repeats, default=0) < 0:
        call.refuse(f"repeats {len(repeats)} axes where there are {x.rank}")
    check_size(n * r for n, r in zip(x.shape, repeats, strict=True))
    full = [1, *repeats] if call.outside else repeats
    return lambda x, *_: x.repeat(full)


def _blocks(call: Call) -> int:
    """The side of the blocks of pixels that become channels, or are made of them."""
    call.batch_first()
    size = int(call.attribute("blocksize", 0))
    if call.operand(0).rank != 4 or size < 1:
        call.refuse("rearranges blocks of a tensor that is no image, or of a size below 1")
    return size


def _depth_to_space(call: Call) -> Apply:
    """Channels as pixels of blocks, in either order."""
    size = _blocks(call)
    channels, rest = divmod(call.operand(0).shape[1], size * size)
    if rest:
        call.refuse(f"makes blocks of {size} times {size} of {call.operand(0).shape[1]} channels")
    if call.choose("mode", "DCR", ("DCR", "CRD")) == "CRD":
        return lambda x: F.pixel_shuffle(x, size)
    return lambda x: F.pixel_shuffle(unflattened(x, 1, (size * size, channels)).transpose(1, 2).flatten(1, 2), size)


def _space_to_depth(call: Call) -> Apply:
    """Pixels of blocks as channels."""
    size = _blocks(call)
    _, channels, height, width = call.operand(0).shape
    if height % size or width % size:
        call.refuse(f"makes blocks of {size} times {size} of {height} times {width} pixels")
    return lambda x: unflattened(F.pixel_unshuffle(x, size), 1, (channels, size * size)).transpose(1, 2).flatten(1, 2)


PIECES: dict[str, Callable[[Call], Apply]] = {
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Tile": _tile,
    "DepthToSpace": on_images(_depth_to_space),
    "SpaceToDepth": on_images(_space_to_depth),
}
