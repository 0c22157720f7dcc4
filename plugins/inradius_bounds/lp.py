"""The LP relaxation, solved for every example and class: the referee of the cheaper certifiers."""

from functools import partial

import attrs
import torch
from torch import Tensor, nn

from inradius import Bounds, Certifier, Operator, Oracles, Property, Relaxation, Streams, UnsupportedError
from inradius_bounds.backward import Rows, lower_bound
from inradius_bounds.forward import fold
from inradius_bounds.layer_bounds import LayerBounds, layer_bounds
from inradius_bounds.linear_program import LinearProgram, Solution, linear_program
from inradius_bounds.rounding import rounding_error
from inradius_bounds.trace import Chain, trace


@attrs.frozen(kw_only=True)
class LP(Certifier):
    """Bounds each margin by the LP relaxation of the network, through cvxpy, with the layer bounds of ``dual``.

    A solver's optimum is not a proof. Its multipliers choose a slope in [0, 1] for the line below each undecided neuron;
    one backward pass with these slopes, closed by the support function, is a bound that holds whatever the solver did,
    and equals the optimum where its multipliers are optimal. Slow: one LP per example and class. Source: wong2018, (3.5)
    and Theorem 1.
    """

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        if not threat.convex:
            raise UnsupportedError(
                f"{threat} is not convex; lp certifies convex sets, a union member by member (parts='each')"
            )
        chain = trace(model, x)
        layers = layer_bounds(chain, x, threat)
        rows, constant = fold(chain, prop)
        values = []
        for example in range(len(x)):
            index = torch.tensor([example], device=x.device)
            part, chosen = _example(layers, index), threat.select(index)
            program = linear_program(chain, x[index], chosen, part.bounds)
            values.append(_bounds(chain, x[index], chosen, part, program, Rows(rows[index], constant[index])))
        error = partial(rounding_error, chain, x, threat, layers.bounds, prop)
        value = torch.cat(values) if values else constant
        return Bounds(value, exact=threat.tight and not chain.hidden, error=error)


@torch.no_grad()
def relaxed_minimum(model: nn.Module, x: Tensor, threat: Oracles, prop: Property) -> Tensor:
    """The optima that the solver reports, for comparisons, (B, K); a bound only to the solver's tolerance."""
    chain = trace(model, x)
    layers = layer_bounds(chain, x, threat)
    rows, constant = fold(chain, prop)
    optima = torch.empty_like(constant)
    for example in range(len(x)):
        index = torch.tensor([example], device=x.device)
        program = linear_program(chain, x[index], threat.select(index), _example(layers, index).bounds)
        for row in range(constant.shape[1]):
            optima[example, row] = program.minimise(rows[example, row], float(constant[example, row])).optimum
    return optima


def _example(layers: LayerBounds, index: Tensor) -> LayerBounds:
    """The bounds of one example; the relaxations follow from the multipliers."""
    return LayerBounds([(lower[index].detach(), upper[index].detach()) for lower, upper in layers.bounds], [])


def _bounds(
    chain: Chain, x: Tensor, threat: Oracles, layers: LayerBounds, program: LinearProgram, function: Rows
) -> Tensor:
    """The proved bound of each row of one example, (1, K)."""
    values = []
    for row in range(function.constant.shape[1]):
        solution = program.minimise(function.rows[0, row].detach(), float(function.constant[0, row].detach()))
        relaxations = _relaxations(chain, layers, solution)
        single = Rows(function.rows[:, row : row + 1], function.constant[:, row : row + 1])
        values.append(lower_bound(chain, len(chain.hidden), single, relaxations, x, threat.support))
    return torch.cat(values, dim=1)


def _relaxations(chain: Chain, layers: LayerBounds, solution: Solution) -> list[Relaxation]:
    pairs = zip(chain.hidden, layers.bounds, solution.multipliers, strict=True)
    return [_mixed(activation, lower, upper, weights) for (_, activation), (lower, upper), weights in pairs]


def _mixed(activation: Operator, lower: Tensor, upper: Tensor, weights: Tensor) -> Relaxation:
    """The relaxation whose line below is the lines' mean under the multipliers, which is feasible for any of them."""
    floor, ceiling = activation.rule.lines(activation, lower, upper)
    total = weights.sum(0)
    share = torch.where(total > 0, weights / total.clamp(min=torch.finfo(total.dtype).tiny), 1 / len(floor))
    share = share / share.sum(0)
    slope = sum(part * line[0] for part, line in zip(share, floor, strict=True))
    offset = sum(part * line[1] for part, line in zip(share, floor, strict=True))
    assert isinstance(slope, Tensor)
    assert isinstance(offset, Tensor)
    (above,) = ceiling
    return Relaxation(lower_slope=slope, lower_offset=offset, upper_slope=above[0], upper_offset=above[1])
