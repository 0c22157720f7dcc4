"""Laws of linear_max, steepest and support."""

import torch
from torch import Tensor

from inradius.sets.arithmetic.sides import size
from inradius.sets.threat_model import ThreatModel
from inradius.testing.claims import close, pairing, require, rounding, weight
from inradius.testing.strategies import Case


def linear_max_beats_samples(threat: ThreatModel, case: Case) -> None:
    """No point of Δ(x) has a larger ⟨c, δ⟩ than linear_max(c)."""
    members = case.members(threat)
    for c in case.c.unbind(1):
        best = threat.linear_max(c, case.x)
        for delta in members:
            slack = case.tol * (weight(c, best) + weight(c, delta))
            require(
                pairing(c, best) >= pairing(c, delta) - slack,
                "linear_max is a maximiser",
                c=c,
                value=pairing(c, best),
                larger=pairing(c, delta),
            )


def steepest_climbs(threat: ThreatModel, case: Case) -> None:
    """steepest answers with finite numbers and never downhill; how far it reaches beyond the set is left to project."""
    delta = threat.project(case.delta, case.x)
    for gradient in (*case.c.unbind(1), torch.zeros_like(case.x)):
        step = threat.steepest(gradient, case.x, delta, rng=case.streams())
        require(torch.isfinite(step), "the step is finite", step=step)
        slack = case.tol * weight(gradient, step)
        require(pairing(gradient, step) >= -slack, "the step does not descend", value=pairing(gradient, step))


def support_bounds_linear_max(threat: ThreatModel, case: Case) -> None:
    """⟨c, δ⟩ ≤ support(c) for every point of Δ(x) up to rounding, with equality at linear_max(c) where the set is tight."""
    support = threat.support(case.c, case.x)
    for k, c in enumerate(case.c.unbind(1)):
        best = threat.linear_max(c, case.x)
        for delta in (*case.members(threat), best):
            above = support[:, k] >= pairing(c, delta) - rounding(case.x) * weight(c, delta)
            require(
                above, "support is never below a value in Δ(x)", c=c, support=support[:, k], value=pairing(c, delta)
            )
        if threat.tight:
            same = close(support[:, k], pairing(c, best), case.tol * weight(c, best) + _underflow(c))
            require(same, "a tight support is attained", c=c, support=support[:, k], value=pairing(c, best))


def members_lie_below_support(threat: ThreatModel, case: Case) -> None:
    """No point that ``contains`` accepts with tolerance 0 lies above ``support`` beyond rounding, along normals of Δ(x) too."""
    members = case.members(threat)
    outside = (case.delta, 2 * members[-1])
    # a point outside points away from its projection along a normal there, also where Δ(x) is flat
    normals = torch.stack([v - threat.project(v, case.x) for v in outside], dim=1)
    directions = torch.cat([case.c, normals], dim=1)
    support = threat.support(directions, case.x)
    box = torch.as_tensor(size(threat.bounds), dtype=torch.float64).max()
    for delta in members:
        inside = threat.contains(delta, case.x, tol=0.0)
        # as much as sums over the example round, and x + δ beside the box
        scale = rounding(case.x) * (box + _largest(case.x) + _largest(delta))
        for k, c in enumerate(directions.unbind(1)):
            above = pairing(c, delta) - support[:, k].double()
            slack = scale * c.double().abs().flatten(1).sum(1)
            require(~inside | (above <= slack), "no member is above the support", c=c, delta=delta, above=above)


def _underflow(c: Tensor) -> Tensor:
    """As much as products that underflow may be counted for in a sum over the example, (B,)."""
    return 64 * c[0].numel() * torch.finfo(c.dtype).smallest_normal * (1 + _largest(c))


def _largest(values: Tensor) -> Tensor:
    return values.double().abs().flatten(1).amax(1)


def support_is_sublinear(threat: ThreatModel, case: Case) -> None:
    """A tight support is 0 for c = 0, grows in proportion to c, and support(a + b) ≤ support(a) + support(b)."""
    if not threat.tight:
        return
    a, b = case.c[:, :1], case.c[:, 1:2]
    zero, of_a, of_b, of_sum = (threat.support(c, case.x) for c in (torch.zeros_like(a), a, b, a + b))
    slack = case.tol * (_size(threat, case, a) + _size(threat, case, b)) + (_underflow(a) + _underflow(b))[:, None]
    require(zero == 0, "support(0) = 0", support=zero)
    require(of_sum <= of_a + of_b + slack, "support(a + b) ≤ support(a) + support(b)", sum=of_sum, a=of_a, b=of_b)
    small = 1e6 * _underflow(a)[:, None]
    for factor in (0.125, 3.0, 1e6):
        scaled = threat.support(factor * a, case.x)
        require(
            close(scaled, factor * of_a, factor * slack + small),
            f"support({factor} c) = {factor} support(c)",
            scaled=scaled,
            c=of_a,
        )


def support_gradient_is_a_subgradient(threat: ThreatModel, case: Case) -> None:
    """The gradient g of a tight support at a is finite and support(b) ≥ support(a) + ⟨g, b − a⟩."""
    if not threat.tight:
        return
    a, b = case.c[:, :1].clone().requires_grad_(), case.c[:, 1:2]
    value = threat.support(a, case.x)
    (gradient,) = torch.autograd.grad(value.sum(), a)
    require(torch.isfinite(gradient), "the gradient of support is finite", gradient=gradient)
    other, value = threat.support(b, case.x), value.detach()
    line = value[:, 0] + pairing(gradient, b - a.detach())
    slack = case.tol * (
        weight(gradient, b) + weight(gradient, a.detach()) + _size(threat, case, b).squeeze(1)
    ) + _underflow(b)
    require(other[:, 0] >= line - slack, "support lies above its tangent", support=other, line=line)


def support_bound_is_above_support(threat: ThreatModel, case: Case) -> None:
    """The cheap support_bound is never below a value in Δ(x), and never below a tight support."""
    bound = threat.support_bound(case.c, case.x)
    for k, c in enumerate(case.c.unbind(1)):
        for delta in case.members(threat):
            above = bound[:, k] >= pairing(c, delta) - rounding(case.x) * weight(c, delta)
            require(
                above, "support_bound is never below a value in Δ(x)", c=c, bound=bound[:, k], value=pairing(c, delta)
            )
    if threat.tight:
        support = threat.support(case.c, case.x)
        slack = rounding(case.x) * _size(threat, case, case.c)
        require(bound >= support - slack, "support_bound ≥ support", c=case.c, bound=bound, support=support)


def _size(threat: ThreatModel, case: Case, c: Tensor) -> Tensor:
    """Σ|c·δ| at each direction's maximiser, (B, K, *S) -> (B, K)."""
    return torch.stack([weight(each, threat.linear_max(each, case.x)) for each in c.unbind(1)], dim=1)
