"""Laws of the projection."""

from inradius.sets.threat_model import ThreatModel
from inradius.testing.claims import norm, pairing, require, rounding
from inradius.testing.strategies import Case


def projection_fixes_members(threat: ThreatModel, case: Case) -> None:
    """A point of Δ(x) is its own projection."""
    for delta in case.members(threat):
        moved = norm(threat.project(delta, case.x) - delta)
        slack = case.tol * norm(delta) + rounding(case.x) * (norm(delta) + norm(case.x))
        require(moved <= slack, "projection leaves points of Δ(x) where they are", moved=moved)


def projection_is_nearest(threat: ThreatModel, case: Case) -> None:
    """No point of Δ(x) is nearer to v than Pv; where Δ(x) is convex, ⟨v − Pv, δ − Pv⟩ ≤ 0 for all δ ∈ Δ(x).

    The inequality needs no solver: it holds for every δ just where Pv is the nearest point. The hardest δ is the
    maximiser of ⟨v − Pv, δ⟩.
    """
    v, nearest = case.delta, threat.project(case.delta, case.x)
    residual = v - nearest
    error = rounding(v) * (norm(v) + norm(case.x))
    for delta in (*case.members(threat), threat.linear_max(residual, case.x)):
        if threat.convex:
            value = pairing(residual, delta - nearest)
            slack = (case.tol * norm(residual) + error) * (norm(delta) + norm(nearest))
            require(value <= slack, "⟨v − Pv, δ − Pv⟩ ≤ 0", value=value, slack=slack, v=v, Pv=nearest, delta=delta)
        closer = norm(v - delta)
        require(
            norm(residual) <= closer * (1 + case.tol) + error,
            "Pv is nearest to v",
            distance=norm(residual),
            other=closer,
        )


def projection_is_nonexpansive(threat: ThreatModel, case: Case) -> None:
    """Where Δ(x) is convex, projections are no further apart than what was projected."""
    if not threat.convex:
        return
    v = case.delta
    for w in (v.flip(0), v / 2, v + case.c[:, 0].sign() * 0.01, threat.linear_max(case.c[:, 1], case.x)):
        apart = norm(threat.project(v, case.x) - threat.project(w, case.x))
        slack = rounding(v) * (norm(v) + norm(w) + norm(case.x))
        require(
            apart <= norm(v - w) * (1 + case.tol) + slack, "‖Pv − Pw‖ ≤ ‖v − w‖", projected=apart, given=norm(v - w)
        )


def projection_moves_only_outsiders(threat: ThreatModel, case: Case) -> None:
    """A point that the projection moves far is not contained, so that the referee and the projection speak of one set."""
    moved = norm(threat.project(case.delta, case.x) - case.delta)
    # contains forgives a violation of 1e-5
    far = (moved > 1e-2 * norm(case.delta)) & (moved > 1e-3)
    gauge, violation = threat.gauge(case.delta, case.x), threat.violation(case.delta, case.x)
    contained = threat.contains(case.delta, case.x)
    require(~(far & contained), "a point that the projection moves is not contained", gauge=gauge, violation=violation)
