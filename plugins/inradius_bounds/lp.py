"""The LP relaxation, solved for every example and class: the referee of the cheaper certifiers."""

from collections.abc import Sequence
from functools import partial

import attrs
import torch
from torch import Tensor, nn

from inradius import Bounds, Certifier, Oracles, Property, Streams, UnsupportedError
from inradius_bounds.agenda import Agenda
from inradius_bounds.backward import Rows, lower_bound
from inradius_bounds.crown import closed
from inradius_bounds.forward import Box, fold
from inradius_bounds.highs_program import HighsProgram
from inradius_bounds.layer_bounds import layer_bounds
from inradius_bounds.linear_program import LinearProgram, Solution, linear_program
from inradius_bounds.multipliers import relaxations
from inradius_bounds.polytope import set_polytope
from inradius_bounds.relax import smallest_area, steepest
from inradius_bounds.rounding import rounding_error
from inradius_bounds.trace import Chain, trace
from inradius_bounds.verdicts import answered, verdicts_alone


@attrs.frozen(kw_only=True)
class LP(Certifier):
    """Bounds each margin by the LP relaxation of the network, with the layer bounds of ``crown``.

    A solver's optimum is not a proof. Its multipliers choose a mean of the lines below and above each undecided neuron;
    one backward pass with these lines, closed by the support function, is a bound that holds whatever the solver did, and
    equals the optimum where its multipliers are optimal. Of a polytope HiGHS is asked itself and keeps its model from one
    class to the next; any other convex set goes through cvxpy. Slow: one LP per example and class; in brackets and cascades,
    for those classes that ``crown`` leaves open, until one of them has no proof. Where a solver fails, a class keeps the bound
    of ``crown``. Source: wong2018, (3.5) and Theorem 1.
    """

    widens = True

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        if not threat.convex:
            raise UnsupportedError(
                f"{threat} is not convex; lp certifies convex sets, a union member by member (parts='each')"
            )
        chain = trace(model, x, threat)
        layers = layer_bounds(chain, x, threat, relax=smallest_area)
        function = Rows(*fold(chain, prop))
        value = closed(chain, function, layers, x, threat, intersect=True, best=True)
        error = partial(rounding_error, chain, x, threat, layers.bounds, prop, relax=steepest)
        if not chain.hidden or not len(x):
            return Bounds(value, exact=threat.tight, error=error)
        doubt = error() if verdicts_alone() else None
        found = []
        for example in range(len(x)):
            index = torch.tensor([example], device=x.device)
            part = _Part(chain, x[index], threat.select(index), _boxes(layers.bounds, index), function.select(index))
            agenda = Agenda.of(prop, value[example], None if doubt is None else doubt[example])
            found.append(self._bounds(part, agenda, value[example], example))
        return Bounds(torch.stack(found), error=error if doubt is None else doubt)

    def _bounds(self, part: "_Part", agenda: Agenda, value: Tensor, example: int) -> Tensor:
        """The bounds of one example, (K,): those of ``value``, but for the rows that a solver answers."""
        found, program = list(value), None
        # bounds or lines that overflowed, or reach a pole, make no program
        for row in agenda if part.finite else ():
            program = relaxed_program(part.chain, part.x, part.threat, part.bounds) if program is None else program
            solution = answered(partial(program.minimise, *part.row(row)), self, example, row)
            if solution is not None:
                found[row] = part.proved(row, solution)
                agenda.answer(row, found[row])
        return torch.stack(found)


@torch.no_grad()
def relaxed_minimum(model: nn.Module, x: Tensor, threat: Oracles, prop: Property) -> Tensor:
    """The optima that the solver reports, for comparisons, (B, K); a bound only to the solver's tolerance."""
    chain = trace(model, x, threat)
    layers = layer_bounds(chain, x, threat, relax=smallest_area)
    rows, constant = fold(chain, prop)
    optima = torch.empty_like(constant)
    for example in range(len(x)):
        index = torch.tensor([example], device=x.device)
        program = relaxed_program(chain, x[index], threat.select(index), _boxes(layers.bounds, index))
        for row in range(constant.shape[1]):
            optima[example, row] = program.minimise(rows[example, row], float(constant[example, row])).optimum
    return optima


def relaxed_program(chain: Chain, x: Tensor, threat: Oracles, bounds: Sequence[Box]) -> "LinearProgram | HighsProgram":
    """The relaxation of one example x (1, *S): in HiGHS where the set is a polytope, else in cvxpy."""
    polytope = set_polytope(threat, x)
    if polytope is None:
        return linear_program(chain, x, threat, bounds)
    return HighsProgram.of(chain, x, bounds, polytope)


def _boxes(bounds: Sequence[Box], index: Tensor) -> list[Box]:
    """The bounds of a part of the examples."""
    return [(lower[index].detach(), upper[index].detach()) for lower, upper in bounds]


@attrs.frozen(eq=False)
class _Part:
    """One example x (1, *S): the bounds of its layers, and the property as a function of the last block's input."""

    chain: Chain
    x: Tensor
    threat: Oracles
    bounds: Sequence[Box]
    function: Rows

    @property
    def finite(self) -> bool:
        """Whether all numbers are that the program is made of."""
        places = list(zip(self.chain.hidden, self.bounds, strict=True))
        lines = [line for (_, op), box in places for side in op.rule.lines(op, *box) for line in side]
        return all(bool(number.isfinite().all()) for pair in (*self.bounds, *lines) for number in pair)

    def row(self, row: int) -> tuple[Tensor, float]:
        """A row of the property and its constant."""
        return self.function.rows[0, row].detach(), float(self.function.constant[0, row].detach())

    def proved(self, row: int, solution: Solution) -> Tensor:
        """The bound of a row that the multipliers of a solution prove, a scalar."""
        lines = relaxations(self.chain, self.bounds, solution)
        single = Rows(self.function.rows[:, row : row + 1], self.function.constant[:, row : row + 1])
        return lower_bound(self.chain, len(self.chain.hidden), single, lines, self.x, self.threat.support)[0, 0]
