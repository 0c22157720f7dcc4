"""Sums and maxima over every window of an image."""

import torch
import torch.nn.functional as F
from torch import Tensor


def window_sums(values: Tensor, height: int, width: int) -> Tensor:
    """Sums over windows, (..., H, W) -> (..., H − height + 1, W − width + 1); a term passes height + width additions."""
    flat = values.flatten(0, -3).unsqueeze(1)
    columns = F.avg_pool2d(flat, (height, 1), stride=1, divisor_override=1)
    sums = F.avg_pool2d(columns, (1, width), stride=1, divisor_override=1)
    return sums.view(*values.shape[:-2], *sums.shape[-2:])


def best_window(values: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The largest sum over a window, and 1 within that window, else 0, (..., H, W) -> (...) and (..., H, W)."""
    sums = window_sums(values, height, width)
    best, place = sums.flatten(-2).max(-1)
    rows, columns = place // sums.shape[-1], place % sums.shape[-1]
    return best, window_at(rows, columns, (height, width), values)


def window_at(rows: Tensor, columns: Tensor, window: tuple[int, int], image: Tensor) -> Tensor:
    """1 within the windows that begin at the given rows and columns of an image (..., H, W), else 0, (*rows, H, W)."""
    down, across = _inside(rows, window[0], image.shape[-2]), _inside(columns, window[1], image.shape[-1])
    return (down.unsqueeze(-1) & across.unsqueeze(-2)).to(image.dtype)


def _inside(first: Tensor, length: int, size: int) -> Tensor:
    steps = torch.arange(size, device=first.device)
    return (steps >= first.unsqueeze(-1)) & (steps < first.unsqueeze(-1) + length)


def least_outside(values: Tensor, height: int, width: int) -> Tensor:
    """The least that the largest value outside of a window can be, values ≥ 0, (..., H, W) -> (...)."""
    rows, columns = _around(values.amax(-1), height), _around(values.amax(-2), width)
    return torch.maximum(rows.unsqueeze(-1), columns.unsqueeze(-2)).flatten(-2).amin(-1)


def _around(line: Tensor, length: int) -> Tensor:
    """The largest value before and after each run of ``length``, (..., n) -> (..., n − length + 1)."""
    nothing = torch.zeros_like(line[..., :1])
    before = torch.cat([nothing, line], -1).cummax(-1).values
    after = torch.cat([line, nothing], -1).flip(-1).cummax(-1).values.flip(-1)
    return torch.maximum(before[..., : line.shape[-1] - length + 1], after[..., length:])
