"""Sets at another radius for each example, and what is known of a set beside its oracles."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import Oracles, PerExample, ThreatModel, UnsupportedError
from inradius.box import Box, room

# balls whose only hard constraint is the box
_BALLS = ("linf", "l2", "l1")


def at(threat: Oracles, factors: Tensor) -> PerExample:
    """The oracles of the set at ``factors`` (n,) times its radius, or each of its radii.

    Raises ``UnsupportedError`` for oracles that know no other radius.
    """
    if isinstance(threat, ThreatModel):
        return threat.per_example(factors)
    if isinstance(threat, PerExample):
        return threat.threat.per_example(threat.factors * factors.to(threat.factors))
    raise UnsupportedError(
        f"{threat} has no other radius; allowed are threat models, and those with a radius per example"
    )


def measure_of(threat: Oracles) -> str:
    """The spec name of the threat model, also behind a radius per example: l2 measures in ℓ2; empty where there is none."""
    model = threat.threat if isinstance(threat, PerExample) else threat
    return model.spec_name() if isinstance(model, ThreatModel) else ""


def parts_measured_in(measure: str, threat: Oracles, asker: object, others: str) -> Sequence[Oracles]:
    """The parts of the set that are balls of one norm; raises ``UnsupportedError`` where there are none."""
    parts = [part for part in threat.parts() if measure_of(part) == measure]
    if not parts:
        raise UnsupportedError(
            f"{asker} was given {threat}, which is measured in another way than {measure}; "
            f"allowed are {measure} and unions with it, and {others} run on any set"
        )
    return parts


def bounds_of(threat: Oracles) -> Box:
    """The box of valid inputs, None where the set has none."""
    model = threat.threat if isinstance(threat, PerExample) else threat
    return getattr(model, "bounds", None)


def kept_to_constraints(threat: Oracles, delta: Tensor, x: Tensor) -> Tensor:
    """The nearest perturbation within the hard constraints (box, mass, reach) and the gauge that δ has, (n, *S)."""
    if measure_of(threat) in _BALLS:
        return delta.clamp(*room(x, bounds_of(threat)))
    gauge = threat.gauge(delta, x)
    return at(threat, torch.where(torch.isfinite(gauge), gauge, 1.0)).project(delta, x)
