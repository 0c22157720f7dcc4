"""The law that a set's closed forms agree with a solver."""

import math

from inradius.errors import UnsupportedError
from inradius.sets.threat_model import ThreatModel
from inradius.testing import reference
from inradius.testing.claims import norm, pairing, weight
from inradius.testing.strategies import Case


def agrees_with_cvxpy(threat: ThreatModel, case: Case) -> None:
    """project, support and gauge agree with cvxpy's answers from the set's constraints, where it has them.

    Solvers' points are less exact than their values, so values are compared; a support that is not tight may be larger.
    """
    one = case.select(0)
    if not _described(threat, one):
        return
    tol = max(case.tol, 1e-6)
    _projection(threat, one, tol)
    _support(threat, one, tol)
    _gauge(threat, one, tol)


def _described(threat: ThreatModel, case: Case) -> bool:
    import cvxpy as cp

    try:
        threat.constraints(cp.Variable(case.x[0].numel()), case.x[0])
    except UnsupportedError:
        return False
    return threat.convex


def _projection(threat: ThreatModel, case: Case, tol: float) -> None:
    # a solver's answer for a point a billion radii away says little
    v = case.delta.clamp(-4, 4)
    ours, theirs = threat.project(v, case.x), reference.project(threat, v[0], case.x[0])[None]
    mine, solved = float(norm(v - ours)), float(norm(v - theirs))
    assert abs(mine**2 - solved**2) <= tol * (1 + solved**2), (
        f"project is at distance {mine} from δ, cvxpy's point at {solved}"
    )


def _support(threat: ThreatModel, case: Case, tol: float) -> None:
    c = case.c[:, 0]
    ours, theirs = float(threat.support(case.c[:, :1], case.x)), reference.support(threat, c[0], case.x[0])
    slack = tol * (float(weight(c, threat.linear_max(c, case.x))) + float(c.abs().max()))
    assert ours >= theirs - slack, f"support is {ours}, below cvxpy's {theirs}"
    assert not threat.tight or ours <= theirs + slack, f"a tight support is {ours}, above cvxpy's {theirs}"
    best = float(pairing(c, threat.linear_max(c, case.x)))
    assert best <= theirs + slack, f"linear_max reaches {best}, above cvxpy's {theirs}: it leaves the set"


def _gauge(threat: ThreatModel, case: Case, tol: float) -> None:
    delta = threat.scaled(3.0).project(case.delta.clamp(-4, 4), case.x)
    ours = float(threat.gauge(delta, case.x))
    if not 1e-3 < ours < math.inf:
        return
    theirs = reference.gauge(threat, delta[0], case.x[0])
    assert abs(ours - theirs) <= 10 * tol * max(1.0, theirs), f"gauge is {ours}, cvxpy's bisection finds {theirs}"
