"""Parts of a set that are balls of one norm, and perturbations kept within what a set allows at any radius."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import Oracles, UnsupportedError
from inradius.sets.norm import Norm


def parts_measured_in(norm: Norm, threat: Oracles, asker: object, others: str) -> Sequence[Oracles]:
    """The parts of the set that are balls of one norm; raises ``UnsupportedError`` where there are none."""
    parts = [part for part in threat.members() if part.norm == norm]
    if not parts:
        raise UnsupportedError(
            f"{asker} was given {threat}, which is measured in another way than {norm}; "
            f"allowed are balls of {norm} and unions with them, and {others} run on any set"
        )
    return parts


def kept_to_constraints(threat: Oracles, delta: Tensor, x: Tensor) -> Tensor:
    """The nearest perturbation within the hard constraints (box, mass, reach) and the gauge that δ has, (n, *S)."""
    if threat.measure is not None:
        return delta.clamp(*threat.room(x))
    gauge = threat.gauge(delta, x)
    return threat.per_example(torch.where(torch.isfinite(gauge), gauge, 1.0)).project(delta, x)
