"""The room of each coordinate, rounded outward, and bounds of ⟨c, δ⟩ for δ within it.

Room is two tensors low ≤ 0 ≤ high, (B, 1, n) or (B, K, n). Its sides are 0 or normal numbers, so that no kernel takes them for 0.
"""

import torch
from torch import Tensor

from inradius.sets.arithmetic.bits import stored
from inradius.sets.arithmetic.outward import raised_sum, smallest
from inradius.sets.arithmetic.precision import upward
from inradius.sets.arithmetic.sides import Box, Side, clipped, not_above, not_below, row_box
from inradius.sets.arithmetic.sums import total, upper


def outer_room(x: Tensor, bounds: Box) -> tuple[Tensor, Tensor]:
    """The room that rows x (B, 1, n) have within bounds, no smaller than it is, two of x's shape; infinite without bounds.

    Sides of the bounds are numbers or tensors (1, 1, n), as ``row_box`` gives them.
    """
    if bounds is None:
        return torch.full_like(x, -torch.inf), torch.full_like(x, torch.inf)
    low, high = bounds
    return -_gap(-x, -not_above(low, x)), _gap(x, not_below(high, x))


def _gap(x: Tensor, most: Side) -> Tensor:
    """most − x where that is > 0, else 0, rounded up."""
    info = torch.finfo(x.dtype)
    if isinstance(most, Tensor) or abs(most) < 4 * info.smallest_normal / info.eps:
        gap = raised_sum(-x, torch.zeros_like(x) + most)
        return torch.where(gap > 0, gap.clamp(min=info.smallest_normal), 0)
    # differences of larger numbers do not underflow
    return torch.where(stored(x), (most - x) * (1 + 2 * info.eps), most).clamp(min=0)


def corners(x: Tensor, low: Tensor, high: Tensor, bounds: Box) -> tuple[Tensor, Tensor]:
    """The least and the largest x + δ within room (B, 1, n) and bounds, rounded outward, two of x's shape and type (B, *S)."""
    rows = x.to(low.dtype).reshape(low.shape)
    lower, upper = -raised_sum(-rows, -low), raised_sum(rows, high)
    box = row_box(bounds, x)
    if box is not None:
        # an input beyond the bounds by rounding stays where it is
        lower = torch.maximum(lower, clipped(rows, most=not_above(box[0], rows)))
        upper = torch.minimum(upper, clipped(rows, least=not_below(box[1], rows)))
    return outward(lower, upper, x)


def outward(low: Tensor, high: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Two sides (B, 1, n) in the shape and type of inputs x (B, *S), rounded outward, two of (B, *S)."""
    return -upward(-low, x.dtype).view(x.shape), upward(high, x.dtype).view(x.shape)


def middle_and_half(low: Tensor, high: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The room as middle ± half in ``dtype``, half rounded up for the middle as it is, two of low's shape."""
    few = smallest(low.dtype)
    middle = ((low + high) / 2).nan_to_num(nan=0.0).to(dtype)
    middle = torch.where(middle.abs() < few, 0, middle)
    center = middle.to(low.dtype)
    half = torch.maximum(raised_sum(high, -center), raised_sum(center, -low))
    half = torch.where((low != 0) | (high != 0), half.clamp(min=few), 0)
    return middle, upward(half, dtype)


def lost_in(low: Tensor, high: Tensor) -> Tensor:
    """The most that underflow may take from ⟨c, δ⟩ within room, (..., n) -> (..., 1).

    The smallest normal number from a coordinate's product, as much from its sum, and as much from c, which δ multiplies.
    """
    width = high - low
    return total(width.clamp(min=1).mul_(width > 0)).mul_(4 * smallest(low.dtype)).unsqueeze(-1)


def stirs(c: Tensor, low: Tensor, high: Tensor, where: Tensor) -> Tensor:
    """True where directions have an entry that is not 0 and room on its side, for a mask (B, K) of them, (count,)."""
    c, low, high = (side.expand(*where.shape, c.shape[-1])[where] for side in (c, low, high))
    return (stored(c) & (torch.where(c.signbit(), low, high) != 0)).any(-1)


def within(c: Tensor, low: Tensor, high: Tensor, lost: Tensor, *, slope: bool) -> tuple[Tensor, ...]:
    """max ⟨c, δ⟩ within room as it is computed and as a bound, (B, K, n) -> two of (B, K).

    With ``slope`` also the corner that attains it, (B, K, n).
    """
    if slope:
        corner = torch.clamp(c.sign() * torch.finfo(c.dtype).max, low, high)
        return (*_raised(total(c * corner), c, lost), corner)
    gains = c * high
    return _raised(total(torch.maximum(gains, c * low, out=gains)), c, lost)


def both(c: Tensor, low: Tensor, high: Tensor, lost: Tensor) -> tuple[Tensor, ...]:
    """max ⟨−c, δ⟩ and max ⟨c, δ⟩ within room, each as it is computed and as a bound, four of (B, K)."""
    up, down = c * high, c * low
    most = total(torch.maximum(up, down))
    least = -total(torch.minimum(up, down, out=up))
    return (*_raised(least, c, lost), *_raised(most, c, lost))


def _raised(value: Tensor, c: Tensor, lost: Tensor) -> tuple[Tensor, Tensor]:
    return value, upper(value, c.shape[-1], 6) + lost.squeeze(-1)
