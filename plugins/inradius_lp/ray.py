"""The ℓ2 ball ∩ box: where the ray clip(t c, low, high) leaves the ball, and the dual value there.

Projection and linear maximisation meet on this ray: the KKT conditions of both say δ = clip(t c, low, high) with t ≥ 0,
and ‖δ‖ grows with t.
"""

import torch
from torch import Tensor

from inradius.sets.arithmetic.sums import length_within_unit, total
from inradius_lp.length import norm, sane


def exit_point(
    c: Tensor, low: Tensor, high: Tensor, radius: Tensor, start: Tensor, limit: float, passes: int | None = None
) -> tuple[Tensor, Tensor]:
    """The t ≤ ``limit`` at which ‖clip(t c, low, high)‖ = radius, or ``limit``, (..., 1), and that point, (..., n).

    Source: michelot1986. An active set that only grows: the free coordinates share what the clipped ones leave of the
    radius; those that this pushes over their bounds join the clipped ones. In terms of t² it is Newton's method on a
    concave piecewise linear function from the left, where ``start`` lies, so it never passes the solution and ends after
    at most n + 1 steps; ``passes`` ends it sooner. The radius is 0 or within ``sane`` lengths.
    """
    grain = 1 + 8 * torch.finfo(c.dtype).eps
    t, left = start, c.shape[-1] + 1 if passes is None else passes
    w, point = torch.empty_like(c), torch.empty_like(c)
    while True:
        torch.mul(c, t, out=w)
        torch.clamp(w, low, high, out=point)
        if not left:
            return t, point
        further = growth(w, point, radius, w).mul_(t).clamp_(max=limit)
        # rows that have arrived stay as they are, whatever their batch mates do
        moving = further > t * grain
        if not bool(moving.any()):
            return t, point
        t, left = torch.where(moving, further, t), left - 1


def growth(w: Tensor, point: Tensor, radius: Tensor, spare: Tensor) -> Tensor:
    """The factor that gives the free coordinates the length which the clipped ones leave, (..., n) -> (..., 1).

    ``point`` is w, clipped; ``spare`` is overwritten. Where too little is free for its squares to be added, the factor is
    too small.
    """
    spent = torch.sub(w, point, out=spare).ne_(0).mul_(point)
    clipped = norm(spent)
    free = norm(torch.sub(point, spent, out=spare)).clamp_(min=sane(w.dtype)[0])
    return (radius - clipped).mul(radius + clipped).clamp_(min=0).sqrt_().div_(free)


def first_time(length: Tensor, radius: Tensor) -> Tensor:
    """The time before which the ray cannot leave the ball, for the ``length`` of c, (..., 1)."""
    return (radius / length).nan_to_num_(nan=0.0).clamp_(max=torch.finfo(length.dtype).max)


def split(c: Tensor, t: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """c = p + rest with p = clip(c, low / t, high / t), two of (..., n); the ball bounds ⟨p, δ⟩, the box ⟨rest, δ⟩."""
    last = torch.finfo(c.dtype).max
    pace = torch.where(t < last, t.reciprocal(), 0)
    p = torch.clamp(c, low * pace, high * pace)
    return p, c - p


def dual_value(c: Tensor, t: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """‖p‖ + the most that ⟨rest, δ⟩ can be in the box, an upper bound of max ⟨c, δ⟩ for every t, (..., n) -> (...).

    It falls from ‖c‖ at t = 0 to the maximum at the exit time, where it is exact, for a radius of 1 and |c| ≤ 1.
    """
    p, rest = split(c, t, low, high)
    # the rest points outwards at clipped coordinates, where the ray's point is the bound, and is 0 elsewhere
    paid = rest.mul_(torch.clamp(c * t, low, high))
    return length_within_unit(p).squeeze(-1) + total(paid)
