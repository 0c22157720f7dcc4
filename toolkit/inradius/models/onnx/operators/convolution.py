"""Convolutions and transposed convolutions of one to three axes."""

from collections.abc import Callable

import attrs
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.limits import check_size
from inradius.models.onnx.operators.broadcast import on_images
from inradius.models.onnx.operators.windows import lengths, padded, padding, refuse_same_with_dilations, windows

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def _weight(call: Call) -> tuple[int, ...]:
    """The lengths of a kernel."""
    call.batch_first()
    x, weight = call.operand(0), call.operand(1)
    if x.rank != weight.rank or not 3 <= x.rank <= 5:
        call.refuse(
            f"convolves the shape {x.shape} with the shape {weight.shape}; allowed are one to three axes of pixels"
        )
    size = weight.shape[2:]
    if lengths(call, "kernel_shape", size) != size:
        call.refuse("announces another kernel than its weight has")
    return size


def _conv(call: Call) -> Apply:
    """A convolution, with more around the image before it where the node adds unequal margins."""
    size, shape = _weight(call), call.operand(0).shape[2:]
    given, groups = windows(call, size, shape), int(call.attribute("group", 1))
    refuse_same_with_dilations(call, given)
    inside, margin = (given.before, []) if given.even else ((0,) * len(size), padding(given.before, given.after))
    check_size((n + a + b for n, a, b in zip(shape, given.before, given.after, strict=True)))
    function = _CONV[len(size)]

    def apply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return function(padded(x, margin), weight, bias, given.stride, inside, given.dilation, groups)

    return apply


def _transposed(call: Call) -> Apply:
    """The adjoint of a convolution, cut at its margins."""
    size, shape = _weight(call), call.operand(0).shape[2:]
    axes = len(size)
    groups, more = int(call.attribute("group", 1)), lengths(call, "output_padding", [0] * axes)
    auto = str(call.attribute("auto_pad", "NOTSET"))
    given = windows(call, size, shape)
    full = [(n - 1) * s + e + o for n, s, e, o in zip(shape, given.stride, given.extent, more, strict=True)]
    if "output_shape" in call.node.attributes or auto.startswith("SAME"):
        same = [n * s for n, s in zip(shape, given.stride, strict=True)]
        wanted = lengths(call, "output_shape", same)[-axes:]
        if "output_shape" in call.node.attributes:
            if any(b - a + o >= s for a, b, o, s in zip(full, wanted, more, given.stride, strict=True) if b > a):
                call.refuse(f"makes the shape {tuple(full)}, which is less than its output_shape {wanted}")
            more = tuple(o + max(b - a, 0) for o, a, b in zip(more, full, wanted, strict=True))
        total = [max(a - b, 0) for a, b in zip(full, wanted, strict=True)]
        less, rest = tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
        upper = auto == "SAME_UPPER"
        given = attrs.evolve(given, before=less if upper else rest, after=rest if upper else less)
    check_size(full)
    if any(n - a - b < 1 for n, a, b in zip(full, given.before, given.after, strict=True)):
        call.refuse("takes away all pixels")
    function = _TRANSPOSED[axes]
    plain = given.even and all(o < max(s, d) for o, s, d in zip(more, given.stride, given.dilation, strict=True))
    if plain:
        return lambda x, weight, bias=None: function(
            x, weight, bias, given.stride, given.before, more, groups, given.dilation
        )
    crop = padding([-n for n in given.before], [o - n for o, n in zip(more, given.after, strict=True)])

    def apply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        found = padded(function(x, weight, None, given.stride, 0, 0, groups, given.dilation), crop)
        return found if bias is None else found + bias.reshape(-1, *(1,) * axes)

    return apply


CONVOLUTIONS: dict[str, Callable[[Call], Apply]] = {"Conv": on_images(_conv), "ConvTranspose": on_images(_transposed)}
