"""The windows of the Square attack: how large they are, where they lie, and the patterns that fill them."""

import math
from collections.abc import Sequence
from functools import lru_cache

import attrs
import torch
from torch import Tensor

# Andriushchenko et al. 2020, sec. 4.1: after so many of 10,000 queries the share of the image is halved once more
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)

_LARGE = 16


def share_of(start: float, progress: float) -> float:
    """The share of the image that a window covers after a share ``progress`` of the queries."""
    at = int(progress * 10000)
    halvings: int = sum(at > limit for limit in _HALVINGS)
    return start * 0.5**halvings


@attrs.frozen
class Grid:
    """An input as channels of rows and columns; vectors are one row, axes before the last two are channels."""

    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, x: Tensor) -> "Grid":
        """The grid of inputs (B, *S)."""
        *rest, height, width = (1, 1, *x.shape[1:])
        return cls(math.prod(rest), height, width)

    def window(self, share: float, *, least: int = 1, odd: bool = False) -> tuple[int, int]:
        """Height and width of a window that covers a share of the grid: square where that fits."""
        area = share * self.height * self.width
        side = max(round(math.sqrt(area)), least)
        side += odd and side % 2 == 0
        short = min(self.height, self.width)
        if side <= short or self.height == self.width:
            return min(side, short), min(side, short)
        long = min(max(round(area / short), least), max(self.height, self.width))
        return (short, long) if self.height == short else (long, short)

    def corner(self, size: tuple[int, int], draws: Tensor) -> tuple[Tensor, Tensor]:
        """Top and left of random windows from two uniform numbers, (n, 2) -> two of (n,)."""
        top = (draws[:, 0] * _places(self.height, size[0])).floor().to(torch.int64)
        left = (draws[:, 1] * _places(self.width, size[1])).floor().to(torch.int64)
        return top, left

    def bands(self, sizes: Sequence[tuple[int, int]], draws: Tensor) -> tuple[Tensor, Tensor]:
        """True where a row, and a column, lies in each of K random windows, (n, K, ≥ 2) -> (n, K, 1, h, 1), (n, K, 1, 1, w)."""
        rows, columns = (
            _band(length, [size[axis] for size in sizes], draws[..., axis])[:, :, None]
            for axis, length in enumerate((self.height, self.width))
        )
        return rows[..., None], columns[..., None, :]

    def mask(self, size: tuple[int, int], corner: tuple[Tensor, Tensor]) -> Tensor:
        """True where a place lies in the window, (n, 1, height, width)."""
        down, across = (
            torch.arange(length, device=first.device) - first[:, None]
            for length, first in zip((self.height, self.width), corner, strict=True)
        )
        rows, columns = (down >= 0) & (down < size[0]), (across >= 0) & (across < size[1])
        return rows[:, None, :, None] & columns[:, None, None, :]

    def places(self, size: tuple[int, int], corner: tuple[Tensor, Tensor]) -> Tensor:
        """The flat places of each window in every channel, (n, channels, height · width of the window)."""
        top, left = corner
        rows = top[:, None, None] + torch.arange(size[0], device=top.device)[:, None]
        columns = left[:, None, None] + torch.arange(size[1], device=left.device)
        flat = (rows * self.width + columns).flatten(1)
        return flat[:, None].expand(-1, self.channels, -1)


def _band(length: int, sides: Sequence[int], draws: Tensor) -> Tensor:
    """True where a place of an axis lies in each of K windows of these sides, (n, K) -> (n, K, length)."""
    places, widths = (draws.new_tensor(each) for each in ([_places(length, side) for side in sides], sides))
    first = (draws * places).floor().to(torch.int32)
    along = torch.arange(length, dtype=torch.int32, device=draws.device) - first[..., None]
    return (along >= 0) & (along < widths[:, None])


def _places(length: int, side: int) -> int:
    """The number of places where a window may begin.

    As in the authors' implementation the last place is none, but where the grid is small.
    """
    return max(1, length - side) if length >= _LARGE else length - side + 1


@lru_cache(maxsize=256)
def pyramids(size: tuple[int, int], order: float) -> Tensor:
    """Two patterns of a window and of length 1: halves of opposite sign above each other, and side by side, (2, h · w).

    Where a window has one row or column both are split along the other.
    """
    height, width = size
    stacked, beside = _halves(height, width, order), _halves(width, height, order).T
    if height == 1 or width == 1:
        stacked = beside = beside if height == 1 else stacked
    return torch.stack([stacked.flatten(), beside.flatten()])


def _halves(height: int, width: int, order: float) -> Tensor:
    if height == 1:
        found = _pyramid(1, width, order)
    else:
        upper = height // 2
        found = torch.cat([_pyramid(upper, width, order), -_pyramid(height - upper, width, order)])
    return _unit(found, order)


def _pyramid(height: int, width: int, order: float) -> Tensor:
    """Steps that fall from the middle outwards, of length 1; Andriushchenko et al. 2020, sec. 4.2."""
    rows = (torch.arange(height) - height // 2).abs()
    columns = (torch.arange(width) - width // 2).abs()
    ring = torch.maximum(rows[:, None], columns[None, :])
    # the square of the ring's number; its fourth power in ℓ1, as in autoattack's implementation
    steps = torch.arange(1, max(height, width) // 2 + 2, dtype=torch.float64) ** (-2.0 if order > 1 else -4.0)
    heights = steps.flip(0).cumsum(0).flip(0)[ring]
    return _unit(heights, order)


def _unit(pattern: Tensor, order: float) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(pattern, ord=order)
    return pattern / length
