"""The ℓ2 ball ∩ box: where the ray clip(t c, low, high) leaves the ball, and the dual value there.

Projection and linear maximisation meet on this ray: the KKT conditions of both say δ = clip(t c, low, high) with t ≥ 0,
and ‖δ‖ grows with t. Here low ≤ 0 ≤ high are relative to the radius, which is 1, and |c| ≤ 1.
"""

import torch
from torch import Tensor

from inradius.arithmetic.sums import amplifier, length_within_unit, total


def exit_time(c: Tensor, low: Tensor, high: Tensor, passes: int | None = None) -> Tensor:
    """The t at which ‖clip(t c, low, high)‖ = 1, the largest float where it never does, (..., n) -> (..., 1).

    Source: michelot1986. An active set that only grows: the free coordinates share what the clipped ones leave of the
    radius; those that this pushes over their bounds join the clipped ones. In terms of t² it is Newton's method on a
    concave piecewise linear function from the left, so it never passes the solution and ends after at most n + 1 steps;
    ``passes`` ends it sooner. Lengths of free coordinates are taken on their own scale, so no square underflows.
    """
    last = torch.finfo(c.dtype).max
    grain = 1 + 8 * torch.finfo(c.dtype).eps
    factor = amplifier(c.dtype)
    t = length_within_unit(c).reciprocal_().clamp_(max=last)
    for _ in range(c.shape[-1] + 1 if passes is None else passes):
        w = c * t
        z = torch.clamp(w, low, high)
        spent = w.sub_(z).sign_().abs_().mul_(z)
        z.sub_(spent)
        free = total(z.mul_(factor).square_()).sqrt_().unsqueeze(-1) / factor
        left = (1 - total(spent.square_())).clamp_(min=0).sqrt_().unsqueeze(-1)
        growth = left / free
        growth = torch.where(free > 0, growth, torch.inf)
        # rows that have arrived stay as they are, whatever their batch mates do
        moving = (growth > grain) & (t < last)
        if not bool(moving.any()):
            break
        t = torch.where(moving, (t * growth).clamp(max=last), t)
    return t


def split(c: Tensor, t: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """c = p + rest with p = clip(c, low / t, high / t), two of (..., n): the ball pays for p, the box for the rest."""
    last = torch.finfo(c.dtype).max
    pace = torch.where(t < last, t.reciprocal(), 0)
    p = torch.clamp(c, low * pace, high * pace)
    return p, c - p


def dual_value(c: Tensor, t: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """‖p‖ + the most that ⟨rest, δ⟩ can be in the box, an upper bound of max ⟨c, δ⟩ for every t, (..., n) -> (...).

    It falls from ‖c‖ at t = 0 to the maximum at the exit time, where it is exact.
    """
    p, rest = split(c, t, low, high)
    # the rest points outwards at clipped coordinates, where the ray's point is the bound, and is 0 elsewhere
    paid = rest.mul_(torch.clamp(c * t, low, high))
    return length_within_unit(p).squeeze(-1) + total(paid)
