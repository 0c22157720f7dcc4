"""Laws of membership: what is inside, and how gauge and radius go together."""

import torch

from inradius.errors import InputError
from inradius.sets.threat_model import ThreatModel
from inradius.testing.claims import close, require, rounding
from inradius.testing.strategies import Case


def zero_is_inside(threat: ThreatModel, case: Case) -> None:
    """δ = 0 lies in Δ(x), with gauge 0 and violation 0, and is its own projection."""
    zero = torch.zeros_like(case.x)
    require(threat.gauge(zero, case.x) == 0, "the gauge of δ = 0 is 0", gauge=threat.gauge(zero, case.x))
    require(threat.violation(zero, case.x) == 0, "δ = 0 violates nothing", violation=threat.violation(zero, case.x))
    require(threat.project(zero, case.x) == 0, "δ = 0 is its own projection", projection=threat.project(zero, case.x))


def oracles_stay_inside(threat: ThreatModel, case: Case) -> None:
    """project, linear_max and sample answer with points of Δ(x)."""
    rng = case.streams()
    answers = {"project": threat.project(case.delta, case.x), "sample": threat.sample(case.x, rng=rng)}
    answers |= {f"linear_max of direction {k}": threat.linear_max(c, case.x) for k, c in enumerate(case.c.unbind(1))}
    for name, delta in answers.items():
        require(
            threat.contains(delta, case.x, tol=case.tol),
            f"{name} answers with a point of Δ(x)",
            gauge=threat.gauge(delta, case.x),
            violation=threat.violation(delta, case.x),
        )


def smaller_sets_are_inside(threat: ThreatModel, case: Case) -> None:
    """A point of the set at a part of the radius is a point of the set."""
    for factor in (0.0, 0.25, 1.0):
        for delta in case.members(threat.scaled(factor)):
            require(
                threat.contains(delta, case.x, tol=case.tol),
                f"a point at {factor} of the radius is inside",
                gauge=threat.gauge(delta, case.x),
                violation=threat.violation(delta, case.x),
            )


def symmetric_sets_allow_the_way_back(threat: ThreatModel, case: Case) -> None:
    """Where the set says it is symmetric, δ ∈ Δ(x) implies −δ ∈ Δ(x + δ)."""
    if not threat.symmetric:
        return
    for delta in case.members(threat):
        there = case.x + delta
        require(
            threat.contains(-delta, there, tol=case.tol),
            "the way back is allowed",
            gauge=threat.gauge(-delta, there),
            violation=threat.violation(-delta, there),
        )


def gauge_scales(threat: ThreatModel, case: Case) -> None:
    """The gauge at t times the radius is the gauge divided by t."""
    for delta in (case.delta, *case.members(threat)):
        gauge = threat.gauge(delta, case.x)
        for factor in (0.5, 3.0):
            scaled = threat.scaled(factor).gauge(delta, case.x)
            require(
                # a share of the radius that underflows has few digits
                close(scaled * factor, gauge, case.tol * gauge + torch.finfo(gauge.dtype).smallest_normal),
                f"the gauge at {factor} times the radius is the gauge divided by {factor}",
                gauge=gauge,
                scaled=scaled,
            )


def norm_is_that_of_the_gauge(threat: ThreatModel, case: Case) -> None:
    """Of a set with a norm, the gauge is the norm over the radius, and at a far radius only its room limits it."""
    if threat.measure is None:
        return
    assert threat.radius is not None, "a set with a norm has a radius"
    for delta in (case.delta, *case.members(threat)):
        gauge, length = threat.gauge(delta, case.x), threat.measure.length(delta)
        same = close(gauge * threat.radius, length, 4 * case.tol * length)
        require(same | ~gauge.isfinite(), "the gauge is the norm over the radius", gauge=gauge, length=length)
        low, high = threat.room(case.x)
        outside = torch.maximum(low - delta, delta - high).flatten(1).amax(1)
        limited = threat.violation(delta, case.x)
        slack = rounding(case.x) * (1 + delta.flatten(1).abs().amax(1) + case.x.flatten(1).abs().amax(1))
        require((limited - outside.clamp(min=0)).abs() <= slack, "the hard constraints are the room", violation=limited)


def gauge_at_radius_zero(threat: ThreatModel, case: Case) -> None:
    """At radius 0 the gauge is 0 for δ = 0 and infinite for every other point of Δ(x)."""
    point = threat.scaled(0.0)
    for delta in case.members(threat):
        gauge = point.gauge(delta, case.x)
        moved = threat.gauge(delta, case.x) > case.tol
        still = (delta == 0).flatten(1).all(1)
        require(~still | (gauge == 0), "at radius 0 the gauge of δ = 0 is 0", gauge=gauge)
        require(~moved | gauge.isinf(), "at radius 0 the gauge of δ ≠ 0 is infinite", gauge=gauge)


def bad_inputs_are_refused(threat: ThreatModel, case: Case) -> None:
    """check_inputs accepts inputs of the set's kind and raises ``InputError`` for NaN and infinite ones."""
    threat.check_inputs(case.x)
    for bad in (torch.nan, torch.inf):
        x = case.x.clone()
        x.view(-1)[-1] = bad
        try:
            threat.check_inputs(x)
        except InputError:
            continue
        raise AssertionError(f"{threat} accepts an input with {bad}; check_inputs must raise InputError")
