"""The ℓ1 ball ∩ box: projection by a soft threshold and a clip, with the exact multiplier."""

import torch
from torch import Tensor

from inradius.sets.arithmetic.sums import total

# Newton's method takes 6 to 13 steps on images; from here on every third step halves the bracket.
_NEWTON = 16
_STEPS = 250
# Each search from the last threshold adds the digits of one floating-point number to it.
_ZOOMS = 6


def shrink(a: Tensor, cap: Tensor, radius: Tensor) -> Tensor:
    """The amounts min(cap, (a − θ)₊) with Σ = radius, or min(cap, a) where that sum is smaller, (..., n) -> (..., n).

    a ≥ 0 and cap ≥ 0. Source: duchi2008 (without caps), cominetti2014. The sum falls piecewise linearly in θ, so
    Newton's method inside a bracket ends at the exact multiplier once no breakpoint lies between them. It is searched
    again from a − θ: those differences are exact near θ, where θ itself may be rounded by more than the radius.
    """
    low, high = torch.zeros_like(a[..., :1]), a.amax(-1, keepdim=True)
    theta = low
    for _ in range(_ZOOMS):
        more, low, high = _root(a, cap, radius, low, high)
        if not bool(more.any()):
            break
        theta = theta + more
        a, low, high = a - more, low - more, high - more
    over = a.clamp(min=0)
    amount = torch.minimum(over, cap)
    inner = over.sign() - over.sub_(amount).sign_()
    missing = radius - total(amount).unsqueeze(-1)
    share = torch.where(theta > 0, missing / total(inner).unsqueeze(-1).clamp(min=1), 0)
    return torch.minimum((amount + inner * share).clamp_(min=0), cap)


def _root(a: Tensor, cap: Tensor, radius: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """θ in [low, high] with Σ min(cap, (a − θ)₊) = radius, from 0, and the bracket around it, three of (..., 1)."""
    unit = torch.finfo(a.dtype).eps / 2
    theta = torch.zeros_like(low)
    over, amount, inner = (torch.empty_like(a) for _ in range(3))
    for step in range(_STEPS):
        torch.sub(a, theta, out=over).clamp_(min=0)
        torch.minimum(over, cap, out=amount)
        gap = total(amount).unsqueeze(-1) - radius
        torch.sign(over, out=inner).sub_(over.sub_(amount).sign_())
        newton = theta + gap / inner.sum(-1, keepdim=True)
        low, high = torch.where(gap > 0, theta, low), torch.where(gap > 0, high, torch.minimum(high, theta))
        grain = 4 * unit * theta.abs()
        # rows that have arrived stay as they are, whatever their batch mates do
        moving = (gap.abs() > 16 * unit * radius) & (high - low > grain) & ((newton - theta).abs() > grain)
        if not bool(moving.any()):
            break
        inside = (newton > low) & (newton < high) & (step < _NEWTON or step % 3 < 2)
        theta = torch.where(moving, torch.where(inside, newton, (low + high) / 2), theta)
    return theta, low, high
