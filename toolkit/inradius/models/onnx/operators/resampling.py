"""Images in another size, by the places that each new pixel is made of and their weights."""

import math
from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.limits import check_size

_PLACES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@attrs.frozen
class _Scaling:
    """The axes that get another length, their new lengths, and how much longer they are said to be."""

    axes: list[int]
    sizes: list[int]
    ratios: list[float]

    def ratio(self, axis: int, rank: int) -> float:
        """The factor by which an axis gets longer, 1 for an axis that is not resized. ``axis`` may be negative."""
        own = axis - rank if axis >= 0 else axis
        return self.ratios[self.axes.index(own)] if own in self.axes else 1.0


def _resize(call: Call) -> Apply:
    """The input in another size: nearest, linear or cubic along each axis."""
    if call.opset < 11:
        return _resampled(call, _by_ratios(call, call.numbers(1)), "asymmetric", "simple")
    empty = [index for index in (1, 2, 3) if call.has(index) and 0 in call.operand(index).shape]
    # the first input is the region that one of the modes cuts out, which is not read
    call.used.update(empty, [1] if call.has(1) else [])
    stated = [index for index in (2, 3) if call.has(index) and index not in empty]
    if len(stated) != 1:
        call.refuse("has no new size, or two")
    axes = _axes(call)
    scaling = _by_ratios(call, call.numbers(2)) if stated == [2] else _by_sizes(call, call.lengths(3, axes))
    places = call.choose("coordinate_transformation_mode", "half_pixel", _PLACES)
    nearest = call.choose("nearest_mode", "round_prefer_floor", _NEAREST)
    if call.attribute("antialias", 0) or call.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        call.refuse("averages before it makes images smaller, or keeps their sides' ratio")
    return _resampled(call, scaling, places, nearest)


def _upsample(call: Call) -> Apply:
    """The input in a larger size, as older operator sets say it."""
    ratios = call.attribute("scales") if call.opset < 9 else call.numbers(1)
    return _resampled(call, _by_ratios(call, ratios), "asymmetric", "floor")


def _axes(call: Call) -> list[int]:
    return call.axes(call.attribute("axes", list(range(call.operand(0).rank))))


def _by_ratios(call: Call, ratios: list[float]) -> _Scaling:
    axes, shape = _axes(call), call.operand(0).shape
    _check(call, axes, ratios)
    sizes = [math.floor(shape[a] * r) for a, r in zip(axes, ratios, strict=True)]
    for a, size, r in zip(axes, sizes, ratios, strict=True):
        single = math.floor(float(torch.tensor(float(shape[a])) * torch.tensor(r)))
        if single != size or (size == shape[a] and r != 1):
            call.refuse(
                f"scales an axis of length {shape[a]} by {r:g}, where readers of the format disagree on the result; allowed are "
                "scales whose new length is the same in single and in double precision, and not the old one unless the scale is 1"
            )
    return _Scaling(axes, sizes, ratios)


def _by_sizes(call: Call, sizes: list[int]) -> _Scaling:
    axes, shape = _axes(call), call.operand(0).shape
    _check(call, axes, sizes)
    return _Scaling(axes, sizes, [n / shape[a] for a, n in zip(axes, sizes, strict=True)])


def _check(call: Call, axes: list[int], numbers: Sequence[float]) -> None:
    if len(numbers) != len(axes) or not all(number > 0 for number in numbers):
        call.refuse(f"has the new sizes {list(numbers)}; allowed is a number above 0 for each of {len(axes)} axes")


def _resampled(call: Call, scaling: _Scaling, places: str, nearest: str) -> Apply:
    """The input, resampled along one axis after another."""
    x, mode = call.operand(0), call.choose("mode", "nearest", ("nearest", "linear", "bilinear", "cubic"))
    if min(scaling.sizes) < 1:
        call.refuse(f"makes the size {scaling.sizes}; allowed are lengths from 1 on")
    if mode != "nearest" and not _within_images(scaling, x.rank):
        call.refuse("interpolates between examples, or between channels and pixels at once")
    check_size([*x.shape, *(math.ceil(n / x.shape[a]) for a, n in zip(scaling.axes, scaling.sizes, strict=True))])
    changed = []
    for axis, size, ratio in zip(scaling.axes, scaling.sizes, scaling.ratios, strict=True):
        length = x.shape[axis]
        if size == length and ratio == 1:
            continue
        if x.batch is not None and not call.outside and axis + x.rank == x.batch:
            call.refuse("changes the number of examples")
        check_size((size, length))
        changed.append(axis)
        at = _origins(size, length, ratio, places)
        if mode == "nearest":
            # the mode of the first sets, which rounds towards the middle of what it leaves out
            mode_of_axis = nearest if nearest != "simple" else "ceil" if ratio < 1 else "floor"
            call.add(_nearest(at, length, mode_of_axis))
        else:
            call.add((_cubic if mode == "cubic" else _linear)(call, at, length).to(x.dtype))
    picked = mode == "nearest"

    def apply(x: Tensor, *rest: Tensor) -> Tensor:
        for axis, table in zip(changed, rest[len(rest) - len(changed) :], strict=True):
            x = x.index_select(axis, table) if picked else (x.transpose(axis, -1) @ table).transpose(axis, -1)
        return x

    return apply


def _within_images(scaling: _Scaling, rank: int) -> bool:
    """True where no example is mixed with others, and no channel with others, be the channels first or last."""
    if rank <= 2:
        return True
    channels = rank == 3 or 1.0 in (scaling.ratio(1, rank), scaling.ratio(-1, rank))
    return channels and scaling.ratio(0, rank) == 1


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
