"""Maxima, means and norms of windows, and of whole images."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.operators.broadcast import on_images
from inradius.models.onnx.operators.windows import Windows, padded, padding, refuse_same_with_dilations, windows

_MAX: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_CONV: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_MEAN: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _windows(call: Call) -> tuple[Windows, tuple[int, ...]]:
    """The windows of a pool, and what is missing after the image where the last window ends beyond it."""
    call.batch_first()
    shape = call.operand(0).shape[2:]
    given = windows(call, tuple(call.attribute("kernel_shape", ())), shape)
    if any(max(a, b) >= k for a, b, k in zip(given.before, given.after, given.size, strict=True)):
        call.refuse("adds margins as wide as its windows")
    refuse_same_with_dilations(call, given)
    if str(call.attribute("auto_pad", "NOTSET")).startswith("SAME") and any(
        (-(-n // s) - 1) * s + e < n for n, e, s in zip(shape, given.extent, given.stride, strict=True)
    ):
        call.refuse("leaves out pixels between its windows while it keeps the size of its image; allowed are pads")
    missing = []
    for n, a, b, e, s in zip(shape, given.before, given.after, given.extent, given.stride, strict=True):
        rest = (n + a + b - e) % s
        # a window starts within the image or the margin before it
        starts = (n + a + b - e) // s + 1
        beyond = bool(call.attribute("ceil_mode", 0)) and rest > 0 and starts * s < n + a
        missing.append(starts * s + e - (n + a + b) if beyond else 0)
    return given, tuple(missing)


def _max_pool(call: Call) -> Apply:
    """The maximum of each window."""
    given, missing = _windows(call)
    if len([name for name in call.node.outputs if name]) > 1:
        call.refuse("makes the places of its maxima; allowed is one output")
    function = _MAX[len(given.size)]
    inside = given.even and all(2 * n <= k for n, k in zip(given.before, given.size, strict=True))
    if inside and not any(missing):
        return lambda x: function(x, given.size, given.stride, given.before, given.dilation)
    margin = padding(given.before, [a + m for a, m in zip(given.after, missing, strict=True)])
    if set(given.dilation) == {1}:
        # a window beyond the edge holds the edge, whose repetition changes no maximum
        return lambda x: function(F.pad(x, margin, mode="replicate"), given.size, given.stride)
    lowest = float("-inf")
    return lambda x: function(F.pad(x, margin, value=lowest), given.size, given.stride, 0, given.dilation)


def _average_pool(call: Call) -> Apply:
    """The mean of each window, of the image alone or with the margins that the node adds."""
    given, missing = _windows(call)
    function, count_all = _MEAN[len(given.size)], bool(call.attribute("count_include_pad", 0))
    inside = given.even and all(2 * n <= k for n, k in zip(given.before, given.size, strict=True))
    if inside and not any(missing) and set(given.dilation) == {1}:
        return lambda x: function(x, given.size, given.stride, given.before, False, count_all)
    margin = padding(given.before, [a + m for a, m in zip(given.after, missing, strict=True)])
    counted = torch.ones((1, 1, *call.operand(0).shape[2:]), dtype=torch.float64)
    if count_all:
        counted = F.pad(counted, padding(given.before, given.after), value=1.0)
        counted = F.pad(counted, padding([0] * len(missing), missing))
    else:
        counted = F.pad(counted, margin)
    dtype, channels = call.operand(0).dtype, call.operand(0).shape[1]
    ones = torch.ones(1, 1, *given.size, dtype=torch.float64)
    call.add((1 / _CONV[len(given.size)](counted, ones, None, given.stride, 0, given.dilation)).to(dtype))
    sums = _window_sums(call, given, channels)
    return lambda x, scale, *rest: sums(padded(x, margin), *rest) * scale


def _window_sums(call: Call, given: Windows, channels: int) -> Callable[..., Tensor]:
    """The sum of each window; for windows with gaps by a convolution whose weights are 1, which it adds."""
    count = torch.Size(given.size).numel()
    if set(given.dilation) == {1}:
        return lambda x: _MEAN[len(given.size)](x, given.size, given.stride) * count
    call.add(torch.ones(channels, 1, *given.size, dtype=call.operand(0).dtype))
    function = _CONV[len(given.size)]
    return lambda x, ones: function(x, ones, None, given.stride, 0, given.dilation, channels)


def _lp_pool(call: Call) -> Apply:
    """The ℓp norm of each window."""
    given, missing = _windows(call)
    p = float(call.attribute("p", 2))
    margin = padding(given.before, [a + m for a, m in zip(given.after, missing, strict=True)])
    sums = _window_sums(call, given, call.operand(0).shape[1])
    return lambda x, *rest: sums(padded(x, margin).abs().pow(p), *rest).pow(1 / p)


def _of_images(function: Callable[[Tensor, list[int]], Tensor]) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        """One number for each channel."""
        rank = call.operand(0).rank
        if rank < 3:
            call.refuse("pools a tensor without pixels")
        axes = list(range(2 - rank, 0))
        return lambda x: function(x, axes)

    return lower


def _global_lp(call: Call) -> Apply:
    """The ℓp norm of each channel."""
    p, rank = float(call.attribute("p", 2)), call.operand(0).rank
    return lambda x: torch.linalg.vector_norm(x, p, dim=list(range(2 - rank, 0)), keepdim=True)


POOLS: dict[str, Callable[[Call], Apply]] = {
    "MaxPool": on_images(_max_pool),
    "AveragePool": on_images(_average_pool),
    "LpPool": on_images(_lp_pool),
    "GlobalMaxPool": _of_images(lambda x, axes: x.amax(axes, keepdim=True)),
    "GlobalAveragePool": _of_images(lambda x, axes: x.mean(axes, keepdim=True)),
    "GlobalLpPool": _global_lp,
}
