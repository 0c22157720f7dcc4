"""Laws of the enclosures that certifiers start from: hull, bound_affine and sketch."""

import torch
from torch import Tensor

from inradius.sets.examples import expand
from inradius.sets.threat_model import ThreatModel
from inradius.testing.affine import Matrix
from inradius.testing.claims import pairing, require, rounding, weight
from inradius.testing.strategies import Case


def hull_is_never_inside(threat: ThreatModel, case: Case) -> None:
    """Every point of Δ(x) lies between the elementwise bounds of hull, up to rounding."""
    lower, upper = threat.hull(case.x)
    for delta in (*case.members(threat), *_corners(threat, case)):
        # coordinates that a set ties together round by the size of the largest
        slack = rounding(case.x) * expand(delta.flatten(1).abs().amax(1), delta)
        require(delta >= lower - slack, "no point is below the hull", delta=delta, lower=lower)
        require(delta <= upper + slack, "no point is above the hull", delta=delta, upper=upper)


def bound_affine_is_never_inside(threat: ThreatModel, case: Case) -> None:
    """The value of an affine map at x + δ lies between its bounds for every δ ∈ Δ(x), up to rounding."""
    for taps in (None, min(3, case.x[0].numel())):
        op = Matrix(case.x.shape[1:], 5, case.seed, taps=taps, dtype=case.x.dtype)
        lower, upper = threat.bound_affine(op, case.x)
        rows = op.unit_rows(torch.arange(5).expand(len(case.x), -1), case.x.dtype)
        extreme = [threat.linear_max(sign * row, case.x) for row in rows.unbind(1) for sign in (-1, 1)]
        for delta in (*case.members(threat), *extreme):
            value = op(case.x + delta)
            size = (case.x.abs() + delta.abs()).flatten(1) @ op.weights.abs().T + op.offset.abs()
            require(value >= lower - rounding(case.x) * size, "no value is below its bound", value=value, lower=lower)
            require(value <= upper + rounding(case.x) * size, "no value is above its bound", value=value, upper=upper)


def hull_of_a_box_is_the_set(threat: ThreatModel, case: Case) -> None:
    """A set that is a box holds the corners of its hull, up to rounding."""
    if not threat.is_box:
        return
    lower, upper = threat.hull(case.x)
    for c in case.c.unbind(1):
        corner = torch.where(c > 0, upper, lower)
        missed = (threat.project(corner, case.x) - corner).abs()
        # the smallest normal number for sides that underflow
        slack = 4 * (rounding(case.x) * (case.x.abs() + corner.abs()) + torch.finfo(corner.dtype).tiny)
        require(missed <= slack, "no corner of the hull is outside of a box", corner=corner, missed=missed)


def sketch_is_never_inside(threat: ThreatModel, case: Case) -> None:
    """Where the set has a sketch (m, w, q), ⟨c, δ⟩ ≤ ⟨c, m⟩ + ‖w·c‖_q for every δ ∈ Δ(x), up to rounding."""
    sketch = threat.sketch(case.x)
    if sketch is None:
        return
    middle, width, q = sketch
    for c in case.c.unbind(1):
        spread = (width.double() * c.double()).flatten(1)
        # scaled by its largest entry, so that no power overflows
        top = spread.abs().amax(1).clamp(min=torch.finfo(torch.float64).tiny)
        bound = pairing(c, middle.expand_as(c)) + top * (spread / top[:, None]).norm(p=q, dim=1)
        for delta in case.members(threat):
            slack = rounding(case.x) * (weight(c, delta) + weight(c, middle.expand_as(c)))
            require(pairing(c, delta) <= bound + slack, "no value is above the sketch", c=c, bound=bound, delta=delta)


def _corners(threat: ThreatModel, case: Case) -> list[Tensor]:
    """The points that reach furthest in a few single coordinates."""
    size = case.x[0].numel()
    units = torch.eye(size, dtype=case.x.dtype)[:: max(1, size // 3)].view(-1, 1, *case.x.shape[1:])
    return [threat.linear_max(sign * unit.expand_as(case.x), case.x) for unit in units for sign in (-1, 1)]
