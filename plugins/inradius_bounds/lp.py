"""The LP relaxation, solved for every example and class: the referee of the cheaper certifiers."""

from collections.abc import Sequence
from functools import partial

import attrs
import torch
from torch import Tensor, nn

from inradius import Bounds, Certifier, Operator, Oracles, Property, Relaxation, Streams, UnsupportedError
from inradius.layers import Line
from inradius_bounds.backward import Rows, lower_bound
from inradius_bounds.forward import Box, fold
from inradius_bounds.highs_program import HighsProgram
from inradius_bounds.layer_bounds import LayerBounds, layer_bounds
from inradius_bounds.linear_program import LinearProgram, Solution, linear_program
from inradius_bounds.polytope import set_polytope
from inradius_bounds.relax import smallest_area, steepest
from inradius_bounds.rounding import rounding_error
from inradius_bounds.trace import Chain, trace


@attrs.frozen(kw_only=True)
class LP(Certifier):
    """Bounds each margin by the LP relaxation of the network, with the layer bounds of ``crown``.

    A solver's optimum is not a proof. Its multipliers choose a mean of the lines below and above each undecided neuron;
    one backward pass with these lines, closed by the support function, is a bound that holds whatever the solver did, and
    equals the optimum where its multipliers are optimal. Of a polytope HiGHS is asked itself and keeps its model from one
    class to the next; any other convex set goes through cvxpy. Slow: one LP per example and class. Source: wong2018,
    (3.5) and Theorem 1.
    """

    widens = True

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        if not threat.convex:
            raise UnsupportedError(
                f"{threat} is not convex; lp certifies convex sets, a union member by member (parts='each')"
            )
        chain = trace(model, x, threat)
        layers = layer_bounds(chain, x, threat, relax=smallest_area)
        rows, constant = fold(chain, prop)
        values = []
        for example in range(len(x)):
            index = torch.tensor([example], device=x.device)
            part, chosen = _example(layers, index), threat.select(index)
            if not _finite(chain, part.bounds):
                # bounds or lines that overflowed, or reach a pole, say nothing
                values.append(torch.full_like(constant[index], -torch.inf))
                continue
            program = relaxed_program(chain, x[index], chosen, part.bounds)
            values.append(_bounds(chain, x[index], chosen, part, program, Rows(rows[index], constant[index])))
        error = partial(rounding_error, chain, x, threat, layers.bounds, prop, relax=steepest)
        value = torch.cat(values) if values else constant
        return Bounds(value, exact=threat.tight and not chain.hidden, error=error)


@torch.no_grad()
def relaxed_minimum(model: nn.Module, x: Tensor, threat: Oracles, prop: Property) -> Tensor:
    """The optima that the solver reports, for comparisons, (B, K); a bound only to the solver's tolerance."""
    chain = trace(model, x, threat)
    layers = layer_bounds(chain, x, threat, relax=smallest_area)
    rows, constant = fold(chain, prop)
    optima = torch.empty_like(constant)
    for example in range(len(x)):
        index = torch.tensor([example], device=x.device)
        program = relaxed_program(chain, x[index], threat.select(index), _example(layers, index).bounds)
        for row in range(constant.shape[1]):
            optima[example, row] = program.minimise(rows[example, row], float(constant[example, row])).optimum
    return optima


def _finite(chain: Chain, bounds: Sequence[Box]) -> bool:
    """Whether all numbers are that the program is made of."""
    if not all(bool(side.isfinite().all()) for box in bounds for side in box):
        return False
    places = zip(chain.hidden, bounds, strict=True)
    lines = [line for (_, op), box in places for side in op.rule.lines(op, *box) for line in side]
    return all(bool(number.isfinite().all()) for line in lines for number in line)


def _example(layers: LayerBounds, index: Tensor) -> LayerBounds:
    """The bounds of one example; the relaxations follow from the multipliers."""
    return LayerBounds([(lower[index].detach(), upper[index].detach()) for lower, upper in layers.bounds], [])


def _bounds(
    chain: Chain, x: Tensor, threat: Oracles, layers: LayerBounds, program: LinearProgram | HighsProgram, function: Rows
) -> Tensor:
    """The proved bound of each row of one example, (1, K)."""
    values = []
    for row in range(function.constant.shape[1]):
        solution = program.minimise(function.rows[0, row].detach(), float(function.constant[0, row].detach()))
        relaxations = _relaxations(chain, layers, solution)
        single = Rows(function.rows[:, row : row + 1], function.constant[:, row : row + 1])
        values.append(lower_bound(chain, len(chain.hidden), single, relaxations, x, threat.support))
    return torch.cat(values, dim=1)


def relaxed_program(chain: Chain, x: Tensor, threat: Oracles, bounds: Sequence[Box]) -> "LinearProgram | HighsProgram":
    """The relaxation of one example x (1, *S): in HiGHS where the set is a polytope, else in cvxpy."""
    polytope = set_polytope(threat, x)
    if polytope is None:
        return linear_program(chain, x, threat, bounds)
    return HighsProgram.of(chain, x, bounds, polytope)


def _relaxations(chain: Chain, layers: LayerBounds, solution: Solution) -> list[Relaxation]:
    places = zip(chain.hidden, layers.bounds, solution.below, solution.above, strict=True)
    return [_mixed(activation, *box, below, above) for (_, activation), box, below, above in places]


def _mixed(op: Operator, lower: Tensor, upper: Tensor, below: Tensor, above: Tensor) -> Relaxation:
    """The relaxation whose lines are means of the rule's lines under the multipliers, feasible for any multipliers."""
    floor, ceiling = op.rule.lines(op, lower, upper)
    (slope, offset), (top, top_offset) = _mean(floor, below), _mean(ceiling, above)
    return Relaxation(lower_slope=slope, lower_offset=offset, upper_slope=top, upper_offset=top_offset)


def _mean(lines: Sequence[Line], weights: Tensor) -> Line:
    """The mean of lines (B, *in) under weights (lines, *in) ≥ 0; the plain mean where all are 0."""
    total = weights.sum(0)
    share = torch.where(total > 0, weights / total.clamp(min=torch.finfo(total.dtype).tiny), 1 / len(lines))
    share = share / share.sum(0)
    slopes, offsets = (torch.cat([line[side] for line in lines]) for side in (0, 1))
    return (share * slopes).sum(0, keepdim=True), (share * offsets).sum(0, keepdim=True)
