"""What a set allows at any radius: its hard constraints, and the box that they are where they are one."""

import torch
from torch import Tensor

from inradius import Oracles, PerExample, Streams, ThreatModel, UnsupportedError

# so many radii reach everything within the hard constraints
_FAR = 1e6


def scaled(threat: Oracles, factor: float) -> Oracles:
    """The set at ``factor`` times its radius, or each of its radii.

    Raises ``UnsupportedError`` for oracles that have no other radius.
    """
    if isinstance(threat, ThreatModel):
        return threat.scaled(factor)
    if isinstance(threat, PerExample):
        return threat.threat.per_example(threat.factors * factor)
    raise UnsupportedError(
        f"{threat} has no other radius; allowed are threat models, and those with a radius per example"
    )


def shares(threat: Oracles, factors: Tensor) -> Oracles:
    """The set at a share of its radius for each example, (B,)."""
    if isinstance(threat, ThreatModel):
        return threat.per_example(factors.double())
    if isinstance(threat, PerExample):
        return threat.threat.per_example(threat.factors.double() * factors.double())
    raise UnsupportedError(
        f"{threat} has no other radius; allowed are threat models, and those with a radius per example"
    )


def far(threat: Oracles) -> Oracles:
    """The set at a radius that only its hard constraints limit."""
    return scaled(threat, _FAR)


def box_of(threat: Oracles, x: Tensor) -> tuple[Tensor, Tensor] | None:
    """How far each coordinate may move down and up at any radius, two of (B, *S); None where this is no box."""
    reach = far(threat)
    low, high = (reach.linear_max(sign * torch.ones_like(x), x) for sign in (-1, 1))
    # a corner that no gradient would choose; the same for every example, as batch mates change nothing
    coin = Streams(0, torch.zeros(1, dtype=torch.int64)).uniform(tuple(x.shape[1:])).to(x.device) < 0.5
    mixed = torch.where(coin, low, high)
    found = (low <= 0).all() & (high >= 0).all() & reach.contains(mixed, x).all()
    return (low, high) if bool(found) else None


def corners_of(threat: Oracles, x: Tensor, asker: object) -> tuple[Tensor, Tensor]:
    """``box_of`` for attacks that set coordinates to its ends. Raises ``UnsupportedError`` where there are none."""
    box = box_of(threat, x)
    # within a box, half of the radii reach all of it as well
    if box is not None and len(x):
        half = scaled(threat, _FAR / 2).linear_max(torch.ones_like(x), x)
        if not torch.allclose(half, box[1]):
            box = None
    if box is None:
        raise UnsupportedError(
            f"{asker} sets coordinates to the ends of a box, and {threat} has none at every radius; "
            "allowed are sets that are limited by bounds=(low, high) alone when their radius grows"
        )
    return box
