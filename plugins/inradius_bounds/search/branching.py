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
    domains, layout, about = bounds.domains, bounds.problem.rough_layout, bounds.rough.values.about
    assert about is not None, "limits count from references"
    gains = {}
    for curve, fan in bounds.rough.fans.items():
        op, row, point = curve.required_operator, layout.part(curve, met), layout.part(curve, at)
        moved, share = point - about.value(curve.sources[0]), layout.part(curve, domains.share)
        value = op.rule.interval(op, point, point)[0] - about.value(curve)
        slope, offset = (first + share * (last - first) for first, last in zip(fan.first, fan.last, strict=True))
        above, below = fan.above[0] * moved + fan.above[1] - value, value - slope * moved - offset
        # of rows without a loss the largest are first
        small = 1e-6 * row.abs() * (above + below)
        gains[curve] = (-row).clamp(min=0) * above + row.clamp(min=0) * below + small
    found = layout.joined(gains, domains.low)
    return torch.where(layout.undecided(domains.low, domains.high), found.clamp(min=0), -1.0)


def points(bounds: DomainBounds) -> Tensor:
    """The number at which each input of a curve is split, (D, N): the kink of a curve of pieces, else the middle."""
    domains, layout = bounds.domains, bounds.layout
    found = {}
    for curve in layout.network.curves:
        op = curve.required_operator
        low, high = layout.part(curve, domains.low), layout.part(curve, domains.high)
        # between infinite limits the middle is not a number
        middle = ((low + high) / 2).nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf)
        best = middle
        for kink in _kinks(op):
            inside = (low < kink) & (kink < high)
            nearer = (best == middle) | ((kink - middle).abs() < (best - middle).abs())
            best = torch.where(inside & nearer, kink, best)
        found[curve] = best
    return layout.joined(found, domains.low)


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
