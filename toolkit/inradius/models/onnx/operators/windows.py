"""Windows of convolutions and pools: sizes, strides and padding as the attributes of a node say."""

from collections.abc import Sequence

import attrs
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Call


@attrs.frozen
class Windows:
    """Lengths, strides and dilations of windows along each axis of an image, and what is added before and after it."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def even(self) -> bool:
        """True where as much is added before as after."""
        return self.before == self.after

    @property
    def extent(self) -> list[int]:
        """The count of numbers from the first to the last of a window, along each axis."""
        return [(k - 1) * d + 1 for k, d in zip(self.size, self.dilation, strict=True)]


def windows(call: Call, size: Sequence[int], shape: Sequence[int]) -> Windows:
    """The windows of a node that moves windows of this size over an image of this shape."""
    axes = len(size)
    if len(shape) != axes or not 1 <= axes <= 3:
        call.refuse(f"moves windows with {axes} axes over images with {len(shape)}; allowed are 1 to 3")
    stride = lengths(call, "strides", [1] * axes)
    dilation = lengths(call, "dilations", [1] * axes)
    if min((*size, *stride, *dilation)) < 1:
        call.refuse("has windows, strides or dilations below 1")
    auto = call.choose("auto_pad", "NOTSET", ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    if auto == "NOTSET":
        pads = lengths(call, "pads", [0] * (2 * axes))
        if min(pads) < 0:
            call.refuse(f"has the pads {pads}; allowed are numbers from 0 on")
        return Windows(tuple(size), stride, dilation, pads[:axes], pads[axes:])
    zero = (0,) * axes
    found = Windows(tuple(size), stride, dilation, zero, zero)
    if auto == "VALID":
        return found
    total = [max((-(-n // s) - 1) * s + e - n, 0) for n, s, e in zip(shape, stride, found.extent, strict=True)]
    less, more = tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
    return (
        attrs.evolve(found, before=less, after=more)
        if auto == "SAME_UPPER"
        else attrs.evolve(found, before=more, after=less)
    )


def refuse_same_with_dilations(call: Call, given: Windows) -> None:
    """Refuses windows with gaps that keep the size of their image, which the standard's runtimes read in different ways."""
    if str(call.attribute("auto_pad", "NOTSET")).startswith("SAME") and set(given.dilation) != {1}:
        call.refuse("keeps the size of its image with dilations; allowed are dilations of 1, or pads")


def lengths(call: Call, name: str, default: Sequence[int]) -> tuple[int, ...]:
    """A list of numbers, as many as the default has."""
    found = tuple(call.attribute(name, default))
    if len(found) != len(default):
        call.refuse(f"has {len(found)} {name} where {len(default)} are needed")
    return found


def padding(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """The argument of torch's ``pad``: for each axis the margins before and after it, the last axis first."""
    return [n for pair in reversed(list(zip(before, after, strict=True))) for n in pair]


def padded(x: Tensor, pads: list[int], value: float = 0.0) -> Tensor:
    """The image with more around it; itself where that is nothing."""
    return F.pad(x, pads, value=value) if any(pads) else x
