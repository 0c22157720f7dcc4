"""The choice of the number at which a domain is split.

It is the one at whose curve the lines lose most of the row that meets it. Source: depalma2021.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import Operator
from inradius_bounds.rules.activations.piecewise import PiecewiseRule
from inradius_bounds.rules.activations.relu import ReLURule
from inradius_bounds.search.domain_bounds import DomainBounds


def scores(bounds: DomainBounds, met: Tensor, at: Tensor) -> Tensor:
    """The most that a split may gain in a pass with the same rows, (D, N); −1 for decided numbers.

    A row above 0 loses the distance from the line below to the curve, a row below 0 that to the line above. The distance is
    taken at the points ``at`` (D, N), where the curve is split and the lines are far from it.
    """
    domains, numbers, layout = bounds.domains, bounds.rough.numbers, bounds.layout
    moved, value = at - numbers.inputs, layout.outputs(at) - numbers.outputs
    slope, offset = numbers.below(domains.share)
    above, below = numbers.above[0] * moved + numbers.above[1] - value, value - slope * moved - offset
    # of rows without a loss the largest are first
    small = 1e-6 * met.abs() * (above + below)
    found = (-met).clamp(min=0) * above + met.clamp(min=0) * below + small
    return torch.where(layout.undecided(domains.low, domains.high), found.clamp(min=0), -1.0)


def points(bounds: DomainBounds) -> Tensor:
    """The number at which each input of a curve is split, (D, N): the kink of a curve of pieces, else the middle."""
    domains, found = bounds.domains, [bounds.domains.low[:, :0]]
    for curve, span in bounds.layout.spans.items():
        op = curve.required_operator
        low, high = domains.low[:, span], domains.high[:, span]
        # between infinite limits the middle is not a number
        middle = ((low + high) / 2).nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf)
        best = middle
        for kink in _kinks(op):
            inside = (low < kink) & (kink < high)
            nearer = (best == middle) | ((kink - middle).abs() < (best - middle).abs())
            best = torch.where(inside & nearer, kink, best)
        found.append(best)
    return torch.cat(found, dim=1)


def _kinks(op: Operator) -> Sequence[float]:
    if isinstance(op.rule, PiecewiseRule):
        return op.rule.kinks(op)
    return (0.0,) if isinstance(op.rule, ReLURule) else ()


def chosen(bounds: DomainBounds, met: Tensor) -> tuple[Tensor, Tensor]:
    """The number at which each domain is split, and the point, (D,) each. The number is −1 where all curves are lines.

    met (D, N): the rows on the curves in a pass over the domains.
    """
    if not bounds.layout.size:
        return torch.full_like(bounds.domains.clause, -1), bounds.domains.bound
    at = points(bounds)
    best, number = scores(bounds, met, at).max(1)
    return torch.where(best < 0, -1, number), at.gather(1, number[:, None])[:, 0]
