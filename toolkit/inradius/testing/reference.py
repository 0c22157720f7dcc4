"""The oracles of a convex set, answered by cvxpy from the set's ``constraints``, for one example.

They are slow, and exact up to the solver's tolerance. Each takes x, and delta or c, in the shape of one example (*S).
"""

import math
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from inradius.sets.threat_model import ThreatModel

if TYPE_CHECKING:
    import cvxpy

_TOLERANCE = 1e-9  # the constraint violation that Clarabel reaches in double precision


def project(threat: ThreatModel, delta: Tensor, x: Tensor) -> Tensor:
    """The point of Δ(x) nearest to delta, (*S)."""
    import cvxpy as cp

    variable = _variable(x)
    goal = cp.Minimize(cp.sum_squares(variable - _flat(delta)))
    _solve(cp.Problem(goal, threat.constraints(variable, x)), threat)
    return torch.from_numpy(variable.value).view(x.shape).to(x)


def support(threat: ThreatModel, c: Tensor, x: Tensor) -> float:
    """max ⟨c, δ⟩ over Δ(x); c is scaled to unit size for the solver."""
    import cvxpy as cp

    size = float(c.abs().max())
    if size == 0:
        return 0.0
    variable = _variable(x)
    problem = cp.Problem(cp.Maximize(_flat(c / size) @ variable), threat.constraints(variable, x))
    return size * _solve(problem, threat)


def gauge(threat: ThreatModel, delta: Tensor, x: Tensor) -> float:
    """inf{t ≥ 0 : δ ∈ scaled(t)(x)} by bisection, for a δ that keeps the hard constraints; inf where no t is large enough."""
    low, high = 0.0, 1.0
    while not contains(threat.scaled(high), delta, x):
        low, high = high, 2 * high
        if high > 2**20:
            return math.inf
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if contains(threat.scaled(middle), delta, x) else (middle, high)
    return high


def contains(threat: ThreatModel, delta: Tensor, x: Tensor) -> bool:
    """True where δ ∈ Δ(x), up to the solver's tolerance."""
    variable = _variable(x)
    constraints = threat.constraints(variable, x)
    variable.value = _flat(delta)
    if {id(v) for each in constraints for v in each.variables()} <= {id(variable)}:
        return all(each.value(_TOLERANCE) for each in constraints)
    return float((project(threat, delta, x) - delta).norm()) <= 1e-7


def _variable(x: Tensor) -> "cvxpy.Variable":
    import cvxpy as cp

    return cp.Variable(x.numel())


def _flat(values: Tensor) -> Any:
    return values.detach().double().flatten().cpu().numpy()


def _solve(problem: "cvxpy.Problem", threat: ThreatModel) -> float:
    with warnings.catch_warnings():
        # a tolerance that is missed by little is still far below that of the comparison
        warnings.filterwarnings("ignore", "Solution may be inaccurate", UserWarning)
        value = problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    if problem.status not in ("optimal", "optimal_inaccurate"):
        raise AssertionError(f"cvxpy calls the constraints of {threat} {problem.status}; they must hold at δ = 0")
    return float(value)
