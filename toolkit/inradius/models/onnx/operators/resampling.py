"""Images in another size, by the places that each new pixel is made of and their weights."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.limits import check_size

_PLACES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def _resize(call: Call) -> Apply:
    """The input in another size: nearest, linear or cubic along each axis."""
    if call.opset < 11:
        return _resampled(call, call.numbers(1), None, "asymmetric", "floor")
    for index in (1, 2, 3):
        if call.has(index) and call.operand(index).constant is not None and 0 in call.operand(index).shape:
            call.used.add(index)
    if call.has(1):
        call.used.add(1)
    scales = call.numbers(2) if call.has(2) and 0 not in call.operand(2).shape else None
    sizes = call.lengths(3, _axes(call)) if call.has(3) and 0 not in call.operand(3).shape else None
    places = call.choose("coordinate_transformation_mode", "half_pixel", _PLACES)
    nearest = call.choose("nearest_mode", "round_prefer_floor", _NEAREST)
    if call.attribute("antialias", 0) or call.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        call.refuse("averages before it makes images smaller, or keeps their sides' ratio")
    return _resampled(call, scales, sizes, places, nearest)


def _axes(call: Call) -> list[int]:
    """The axes that get another length."""
    return call.axes(call.attribute("axes", list(range(call.operand(0).rank))))


def _upsample(call: Call) -> Apply:
    """The input in a larger size, as older operator sets say it."""
    scales = call.attribute("scales") if call.opset < 9 else call.numbers(1)
    return _resampled(call, scales, None, "asymmetric", "floor")


def _resampled(
    call: Call, scales: Sequence[float] | None, sizes: Sequence[int] | None, places: str, nearest: str
) -> Apply:
    x, mode = call.operand(0), call.choose("mode", "nearest", ("nearest", "linear", "bilinear", "cubic"))
    axes = _axes(call)
    if (scales is None) == (sizes is None) or len(scales or sizes or ()) != len(axes):
        call.refuse("has no new size for each axis, or two")
    sizes_ = (
        list(sizes)
        if sizes is not None
        else [math.floor(x.shape[a] * s) for a, s in zip(axes, scales or (), strict=True)]
    )
    ratios = list(scales) if scales is not None else [n / x.shape[a] for a, n in zip(axes, sizes_, strict=True)]
    by_axis = dict(zip(axes, ratios, strict=True))

    def ratios_at(axis: int) -> float:
        return by_axis.get(axis - x.rank if axis >= 0 else axis, 1.0)

    if (
        mode != "nearest"
        and x.rank > 2
        and (ratios_at(0) != 1 or (x.rank > 3 and 1 not in (ratios_at(1), ratios_at(-1))))
    ):
        call.refuse("interpolates between examples, or between channels and pixels at once")
    if min(sizes_) < 1 or min(ratios) <= 0:
        call.refuse(f"makes the size {sizes_}; allowed are lengths from 1 on")
    check_size([*x.shape, *(math.ceil(n / x.shape[a]) for a, n in zip(axes, sizes_, strict=True))])
    steps = []
    for axis, size, ratio in zip(axes, sizes_, ratios, strict=True):
        if size == x.shape[axis] and ratio == 1:
            continue
        if x.batch is not None and not call.outside and axis + x.rank == x.batch:
            call.refuse("changes the number of examples")
        at = _origins(size, x.shape[axis], ratio, places)
        steps.append(axis)
        check_size((size, x.shape[axis]))
        if mode == "nearest":
            call.add(_nearest(at, x.shape[axis], nearest))
        else:
            weights = _linear if mode != "cubic" else _cubic
            call.add(weights(call, at, x.shape[axis]).to(x.dtype))
    picked = mode == "nearest"

    def apply(x: Tensor, *rest: Tensor | None) -> Tensor:
        for axis, table in zip(steps, rest[len(rest) - len(steps) :], strict=True):
            assert table is not None
            x = x.index_select(axis, table) if picked else (x.transpose(axis, -1) @ table).transpose(axis, -1)
        return x

    return apply


def _origins(size: int, length: int, ratio: float, places: str) -> Tensor:
    """The place in the input that each place of the output comes from; single precision, as the format's users have it."""
    at = torch.arange(size, dtype=torch.float32)
    scale = torch.tensor(ratio, dtype=torch.float32)
    if places == "asymmetric":
        return at / scale
    if places == "align_corners":
        return at * (length - 1) / (size - 1) if size > 1 else torch.zeros(size)
    if places == "pytorch_half_pixel" and size == 1:
        return torch.zeros(size)
    if places == "half_pixel_symmetric":
        adjusted = size / (ratio * length)
        return length / 2 * (1 - adjusted) + (at + 0.5) / scale - 0.5
    return (at + 0.5) / scale - 0.5


def _nearest(at: Tensor, length: int, mode: str) -> Tensor:
    """The nearest place of each."""
    if mode == "floor":
        found = at.floor()
    elif mode == "ceil":
        found = at.ceil()
    elif mode == "round_prefer_ceil":
        found = (at + 0.5).floor()
    else:
        found = (at - 0.5).ceil()
    return found.long().clamp(0, length - 1)


def _linear(call: Call, at: Tensor, length: int) -> Tensor:
    """Weights (length, size) of the two places around each, cut at the edges."""
    at = at.clamp(0, length - 1)
    low = at.floor().long().clamp(max=max(length - 2, 0))
    share = (at - low).double()
    table = torch.zeros(length, at.numel(), dtype=torch.float64)
    columns = torch.arange(at.numel())
    table.index_put_((low, columns), 1 - share, accumulate=True)
    table.index_put_(((low + 1).clamp(max=length - 1), columns), share, accumulate=True)
    return table


def _cubic(call: Call, at: Tensor, length: int) -> Tensor:
    """Weights (length, size) of the four places around each; places beyond the edge are the edge, or left out."""
    a, outside = float(call.attribute("cubic_coeff_a", -0.75)), bool(call.attribute("exclude_outside", 0))
    low = at.floor().long()
    share = (at - low).double()
    table = torch.zeros(length, at.numel(), dtype=torch.float64)
    columns = torch.arange(at.numel())
    for offset in (-1, 0, 1, 2):
        distance = (share - offset).abs()
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
        weight, place = torch.where(distance <= 1, near, far), low + offset
        if outside:
            weight = torch.where((place >= 0) & (place < length), weight, torch.zeros_like(weight))
        table.index_put_((place.clamp(0, length - 1), columns), weight, accumulate=True)
    return table / table.sum(0) if outside else table


RESAMPLING: dict[str, Callable[[Call], Apply]] = {"Resize": _resize, "Upsample": _upsample}
