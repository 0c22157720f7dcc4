"""Sets whose gauge counts what changes, as ℓ0 does: how much one change counts, and which numbers change together."""

import torch
from torch import Tensor

from inradius import AttackBatch

# so many radii reach everything within the hard constraints
_FAR = 1e6


def grain(part: AttackBatch) -> Tensor:
    """The gauge of a change of one number, however small, 0 where it is smaller for half of the change, (n,).

    The first number that has a gauge decides.
    """
    one = torch.zeros_like(part.x)
    one.flatten(1)[:, :1] = 1
    whole, half = part.threat.gauge(one, part.x), part.threat.gauge(one / 2, part.x)
    counts = torch.isfinite(whole) & (whole == half)
    return torch.where(counts, whole, 0.0)


def channels(part: AttackBatch) -> int:
    """How many numbers of images (n, channels, H, W) count as one pixel, 1 where each counts by itself."""
    x = part.x
    if x.ndim != 4 or x.shape[1] == 1 or not len(x):
        return 1
    one = torch.zeros_like(x)
    one[:, :1, :1, :1] = 1
    whole = one.clone()
    whole[:, :, :1, :1] = 1
    together = torch.equal(part.threat.gauge(one, x), part.threat.gauge(whole, x))
    return x.shape[1] if together else 1


def ends(part: AttackBatch) -> tuple[Tensor, Tensor]:
    """The least and the most that each number of δ may be at any radius, two of (n, *S)."""
    far = part.threat.scaled(_FAR)
    low, high = (far.linear_max(sign * torch.ones_like(part.x), part.x) for sign in (-1, 1))
    return low, high
