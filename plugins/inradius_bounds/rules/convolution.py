"""The rule of Conv2d, with any stride, zero padding, dilation and groups."""

import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import Operator, UnsupportedError
from inradius_bounds.steps.weighted import WeightedRule, weight_size

# the most channels that count as few, with strides and without
_FEW, _VERY_FEW = 4, 3
# the most channels, and pixels, of rows that are faster one channel behind the other
_NARROW, _WINDOW = 16, 64
# the most rows of few channels that are faster as a matrix product
_SEVERAL = 16
# rows of at most this many filters, and at least and at most this many numbers, are added tap by tap; small windows have no most
_FILTERS, _LEAST, _MOST = 32, 1 << 13, 1 << 20


class ConvolutionRule(WeightedRule):
    """z -> W * z + b on images (channels, H, W)."""

    def check(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
            raise UnsupportedError(f"{module} pads with {module.padding_mode!r}; allowed is padding_mode='zeros'")

    def spread(self, op: Operator, bound: Tensor, constants: Tensor | None) -> Tensor:
        conv = op.module
        return F.conv2d(bound, weight_size(conv), constants, conv.stride, conv.padding, conv.dilation, conv.groups)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        conv = op.module
        (top, bottom), (left, right) = pads(conv)
        # the rows below and the columns to the right that the last stride does not reach
        spare = [
            op.in_shape[1 + axis]
            + sum(pads(conv)[axis])
            - (op.out_shape[1 + axis] - 1) * conv.stride[axis]
            - conv.dilation[axis] * (conv.kernel_size[axis] - 1)
            - 1
            for axis in (0, 1)
        ]
        if (top, left) == (bottom, right):
            pulled = _transposed(conv, rows.flatten(0, 1), (top, left), spare)
        else:
            # unequal padding occurs with stride 1 only, which leaves no spare rows
            pulled = _transposed(conv, rows.flatten(0, 1))
            pulled = pulled[:, :, top : top + op.in_shape[1], left : left + op.in_shape[2]]
        return pulled.reshape(*rows.shape[:2], *pulled.shape[1:])

    def window(self, op: Operator) -> tuple[tuple[int, int], tuple[int, int]] | None:
        (top, _), (left, _) = pads(op.module)
        return op.module.stride, (top, left)

    def pull_window(self, op: Operator, windows: Tensor) -> Tensor:
        pulled = _transposed(op.module, windows.flatten(0, 1))
        return pulled.reshape(*windows.shape[:2], *pulled.shape[1:])

    def unit_windows(self, op: Operator, channel: Tensor, dtype: torch.dtype) -> Tensor:
        # with dilation, a weight is not its window
        if op.module.groups > 1 or any(step != 1 for step in op.module.dilation):
            return super().unit_windows(op, channel, dtype)
        rows: Tensor = op.module.weight[channel]
        return rows

    def local_rows(self, op: Operator) -> tuple[Tensor, Tensor] | None:
        conv = op.module
        numbers = torch.arange(1, op.in_shape.numel() + 1, dtype=torch.float64, device=conv.weight.device)
        (top, bottom), (left, right) = pads(conv)
        image = F.pad(numbers.view(1, *op.in_shape), (left, right, top, bottom))
        patches = F.unfold(image, conv.kernel_size, conv.dilation, 0, conv.stride)[0].to(torch.int64) - 1
        per_group = patches.view(conv.groups, -1, patches.shape[1]).transpose(1, 2)  # (groups, places, taps)
        filters = conv.weight.flatten(1).unflatten(0, (conv.groups, -1))  # (groups, filters, taps)
        shape = (*filters.shape[:2], *per_group.shape[1:])
        index = per_group[:, None].expand(shape)
        weight = filters[:, :, None].expand(shape)
        return index.flatten(0, 2), weight.flatten(0, 2)

    def terms(self, op: Operator) -> int:
        return int(op.module.weight[0].numel()) + int(getattr(op.module, "more", 0))

    def fan(self, op: Operator) -> int:
        # a number meets each filter at every stride-th tap
        conv = op.module
        taps = [
            -(-conv.kernel_size[axis] // conv.stride[axis]) if conv.dilation[axis] == 1 else conv.kernel_size[axis]
            for axis in (0, 1)
        ]
        return int(conv.weight.shape[0] // conv.groups * taps[0] * taps[1])

    def terms_of(self, op: Operator, some: Tensor) -> Tensor | None:
        conv = op.module
        if conv.groups > 1:
            return None
        ones = conv.weight.new_ones(1, 1, *conv.kernel_size)
        count = F.conv2d(some.sum(1, keepdim=True).to(ones), ones, None, conv.stride, conv.padding, conv.dilation)
        return count.flatten(1).amax(1) + int(getattr(conv, "more", 0))

    def fan_of(self, op: Operator, some: Tensor) -> Tensor | None:
        conv = op.module
        if conv.groups > 1:
            return None
        ones = conv.weight.new_ones(1, 1, *conv.kernel_size)
        count = F.conv_transpose2d(some.sum(1, keepdim=True).to(ones), ones, None, conv.stride, 0, 0, 1, conv.dilation)
        return count.flatten(1).amax(1)


def _transposed(conv: nn.Conv2d, rows: Tensor, pad: Sequence[int] = (0, 0), spare: Sequence[int] = (0, 0)) -> Tensor:
    """The transposed convolution, (n, C, h, w) -> (n, C', h', w')."""
    strided = max(conv.stride) > 1
    if conv.in_channels <= (_FEW if strided else _VERY_FEW) and conv.groups == 1:
        return _of_few_channels(conv, rows, strided=strided)(conv, rows, pad, spare)
    # channels last is the fastest layout for many images, but not for small ones of few channels
    last = strided or rows.shape[1] > _NARROW or rows.shape[2] * rows.shape[3] > _WINDOW
    rows = rows.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    return F.conv_transpose2d(rows, conv.weight, None, conv.stride, pad, spare, conv.groups, conv.dilation)


_Way = Callable[[nn.Conv2d, Tensor, Sequence[int], Sequence[int]], Tensor]


def _of_few_channels(conv: nn.Conv2d, rows: Tensor, *, strided: bool) -> _Way:
    """The fastest way to compute the transposed convolution of these rows for few channels, as measured on a CPU."""
    small = rows.shape[2] * rows.shape[3] <= _WINDOW
    several = rows.shape[1] <= _FILTERS and rows.numel() >= _LEAST and not torch.is_grad_enabled()
    if several and (small or (not strided and rows.numel() <= _MOST)):
        return _by_taps
    return _by_phases if _has_phases(conv) and len(rows) > _SEVERAL else _folded


def _has_phases(conv: nn.Conv2d) -> bool:
    """True if the taps of a strided kernel are shared out evenly among the places between two strides."""
    step = conv.stride[0]
    even = all(length % step == 0 for length in conv.kernel_size)
    return step > 1 and conv.stride[1] == step and even and max(conv.dilation) == 1


def _by_phases(conv: nn.Conv2d, rows: Tensor, pad: Sequence[int], spare: Sequence[int]) -> Tensor:
    """The transposed convolution as one of stride 1, whose channels are the places between two strides.

    It is the fastest for many rows and few channels, as its columns are a few times as many numbers as its result.
    """
    step, (filters, channels, *_) = conv.stride[0], conv.weight.shape
    taps = [length // step for length in conv.kernel_size]
    split = conv.weight.view(filters, channels, taps[0], step, taps[1], step).permute(1, 3, 5, 0, 2, 4)
    kernel = split.flip(-2, -1).reshape(channels * step * step, filters, *taps)
    found = F.pixel_shuffle(F.conv2d(rows, kernel, None, 1, (taps[0] - 1, taps[1] - 1)), step)
    # a side that is longer than the taps reach ends with zeros
    return F.pad(found, (-pad[1], spare[1] - pad[1], -pad[0], spare[0] - pad[0]))


def _by_taps(conv: nn.Conv2d, rows: Tensor, pad: Sequence[int], spare: Sequence[int]) -> Tensor:
    """The transposed convolution as a matrix product, whose result for each tap is added at the places that the tap reaches.

    Rows are the last axis, so that long runs of memory are added also for small windows.
    """
    size, kernel = rows.shape[2:], conv.kernel_size
    columns = conv.weight.flatten(1).t() @ rows.permute(1, 2, 3, 0).flatten(1)
    columns = columns.view(-1, *kernel, *size, len(rows))
    reached = [(size[a] - 1) * conv.stride[a] + conv.dilation[a] * (kernel[a] - 1) + 1 for a in (0, 1)]
    wanted = [reached[a] - 2 * pad[a] + spare[a] for a in (0, 1)]
    found = rows.new_zeros(len(columns), *(max(reached[a], pad[a] + wanted[a]) for a in (0, 1)), len(rows))
    for tap in itertools.product(*map(range, kernel)):
        down, right = (
            slice(start, start + (size[a] - 1) * conv.stride[a] + 1, conv.stride[a])
            for a, start in enumerate(tap[a] * conv.dilation[a] for a in (0, 1))
        )
        found[:, down, right].add_(columns[:, tap[0], tap[1]])
    return found[:, pad[0] : pad[0] + wanted[0], pad[1] : pad[1] + wanted[1]].permute(3, 0, 1, 2)


def _folded(conv: nn.Conv2d, rows: Tensor, pad: Sequence[int], spare: Sequence[int]) -> Tensor:
    """The transposed convolution as a matrix product and an overlap-add, which is faster for few channels."""
    columns = conv.weight.flatten(1).t() @ rows.flatten(2)
    height, width = (
        (rows.shape[2 + a] - 1) * conv.stride[a]
        + conv.dilation[a] * (conv.kernel_size[a] - 1)
        + 1
        - 2 * pad[a]
        + spare[a]
        for a in (0, 1)
    )
    return F.fold(columns, (height, width), conv.kernel_size, conv.dilation, tuple(pad), conv.stride)


def pads(conv: nn.Conv2d) -> tuple[tuple[int, int], tuple[int, int]]:
    """The rows added above and below, and the columns added left and right."""
    if isinstance(conv.padding, str):
        total = [
            d * (k - 1) if conv.padding == "same" else 0 for d, k in zip(conv.dilation, conv.kernel_size, strict=True)
        ]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    return (int(conv.padding[0]),) * 2, (int(conv.padding[1]),) * 2
