"""Conv2d with any stride, zero padding, dilation and groups."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import LayerRule, Operator, UnsupportedError

_FEW_CHANNELS = 4


class ConvolutionRule(LayerRule):
    """z -> W * z + b on images (channels, H, W)."""

    affine = True

    def check(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
            raise UnsupportedError(f"{module} pads with {module.padding_mode!r}; bounds know padding_mode='zeros'")

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        conv = op.module
        center, radius = (upper + lower) / 2, (upper - lower) / 2
        middle = op(center)
        spread = F.conv2d(radius, conv.weight.abs(), None, conv.stride, conv.padding, conv.dilation, conv.groups)
        return middle - spread, middle + spread

    def magnitude(self, op: Operator, bound: Tensor) -> Tensor:
        conv = op.module
        bias = None if conv.bias is None else conv.bias.abs()
        return F.conv2d(bound, conv.weight.abs(), bias, conv.stride, conv.padding, conv.dilation, conv.groups)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        conv = op.module
        (top, bottom), (left, right) = pads(conv)
        padded = (op.in_shape[1] + top + bottom, op.in_shape[2] + left + right)
        extra = [
            padded[axis]
            - (
                (op.out_shape[1 + axis] - 1) * conv.stride[axis]
                + conv.dilation[axis] * (conv.kernel_size[axis] - 1)
                + 1
            )
            for axis in (0, 1)
        ]
        # inputs that the last stride does not reach have weight zero: output_padding may not exceed the stride, F.pad may
        pulled = F.pad(_transposed(conv, rows.flatten(0, 1)), (0, extra[1], 0, extra[0]))
        pulled = pulled[:, :, top : top + op.in_shape[1], left : left + op.in_shape[2]].contiguous()
        return pulled.view(*rows.shape[:2], *op.in_shape)

    def window(self, op: Operator) -> tuple[tuple[int, int], tuple[int, int]] | None:
        (top, _), (left, _) = pads(op.module)
        return op.module.stride, (top, left)

    def pull_window(self, op: Operator, windows: Tensor) -> Tensor:
        pulled = _transposed(op.module, windows.flatten(0, 1))
        return pulled.view(*windows.shape[:2], *pulled.shape[1:])

    def unit_windows(self, op: Operator, channel: Tensor, dtype: torch.dtype) -> Tensor:
        # a weight is not the window where its taps lie apart
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
        return int(op.module.weight[0].numel())

    def fan(self, op: Operator) -> int:
        return int(op.module.weight[:, 0].numel()) // int(op.module.groups)


def _transposed(conv: nn.Conv2d, rows: Tensor) -> Tensor:
    """The transposed convolution without padding, (n, C, h, w) -> (n, C', h', w')."""
    if conv.groups > 1 or conv.in_channels > _FEW_CHANNELS:
        return F.conv_transpose2d(rows, conv.weight, None, conv.stride, 0, 0, conv.groups, conv.dilation)
    # one matrix product and an overlap-add: several times faster than torch's kernel on images of few channels
    columns = conv.weight.flatten(1).t() @ rows.flatten(2)
    height, width = (
        (rows.shape[2 + a] - 1) * conv.stride[a] + conv.dilation[a] * (conv.kernel_size[a] - 1) + 1 for a in (0, 1)
    )
    return F.fold(columns, (height, width), conv.kernel_size, conv.dilation, 0, conv.stride)


def pads(conv: nn.Conv2d) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows added above and below, columns added left and right."""
    if isinstance(conv.padding, str):
        total = [
            d * (k - 1) if conv.padding == "same" else 0 for d, k in zip(conv.dilation, conv.kernel_size, strict=True)
        ]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    return (int(conv.padding[0]),) * 2, (int(conv.padding[1]),) * 2
