"""The certifier ``lp``: the LP relaxation, solved for every example and class. It is the referee of the cheaper certifiers."""

import math
import time
from collections.abc import Sequence
from functools import cached_property, partial

import attrs
import torch
from attrs.validators import optional
from torch import Tensor, nn

from inradius import Bounds, Certifier, ExampleRNG, Oracles, Property, UnsupportedError
from inradius.components.validators import as_float, positive
from inradius_bounds.backward.certifier_bounds import bounds_of, chained, values_of
from inradius_bounds.backward.curve_lines import CurveLines
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.backward.property_bounds import property_bounds
from inradius_bounds.box import Box
from inradius_bounds.capture.trace import trace
from inradius_bounds.certifiers.crown import closed
from inradius_bounds.certifiers.solver_answers import answered, slack_of, verdicts_alone
from inradius_bounds.layout.forward import fold
from inradius_bounds.layout.layer_bounds import by_node, level_boxes
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.solvers.agenda import Agenda
from inradius_bounds.solvers.highs_program import HighsProgram
from inradius_bounds.solvers.linear_program import LinearProgram, Solution, linear_program
from inradius_bounds.solvers.multipliers import relaxations
from inradius_bounds.solvers.polytope import set_polytope


@attrs.frozen(kw_only=True)
class LP(Certifier):
    """Bounds each margin by the LP relaxation of the network, with the layer bounds of ``crown``.

    A solver's optimum is not a proof. Its multipliers choose a mean of the lines below and above each undecided neuron. One
    backward pass with these lines, closed by the support function, is a bound that holds for any multipliers, and equals the
    optimum where they are optimal. For a polytope, HiGHS is called itself and keeps its model from one class to the next. Any
    other convex set is solved by cvxpy. It is slow: one LP per example and class. In brackets and cascades only the classes
    that ``crown`` leaves open are solved, until one of them has no proof. Where a solver fails, a class keeps the bound of
    ``crown``; so do the classes that are left when an example has taken ``seconds`` (None: no limit). Source: wong2018, (3.5) and
    Theorem 1.
    """

    widens = True

    seconds: float | None = attrs.field(
        default=None, validator=optional(positive), converter=attrs.converters.optional(as_float)
    )

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        if not threat.convex:
            raise UnsupportedError(
                f"{threat} is not convex; lp certifies convex sets, a union member by member (union='each')"
            )
        values, chain = values_of(model, x, threat, form=chained), trace(model, x, threat)
        found = relax_curves(values, relax=smallest_area)
        best = closed(found, prop)
        if not chain.hidden or not len(x):
            return bounds_of(values, best, exact=threat.tight)
        slack = slack_of(bounds_of(values, best))
        for example in range(len(x)):
            index = torch.tensor([example], device=x.device)
            part = _Part(chain, values.select(index), prop.select(index))
            error = best.owed[example] if verdicts_alone() else None
            agenda = Agenda.of(prop, best.value[example], error, slack[example])
            best = self._raised(part, agenda, best, example)
        return bounds_of(values, best)

    def _raised(self, part: "_Part", agenda: Agenda, best: ClosedRows, example: int) -> ClosedRows:
        """The bounds, where the rows of one example that a solver answers are raised."""
        program, end = None, math.inf if self.seconds is None else time.monotonic() + self.seconds
        # bounds or lines that overflow, or that reach a pole, make no program
        for row in agenda if part.finite else ():
            program = relaxed_program(part.chain, part.x, part.threat, part.bounds) if program is None else program
            left = end - time.monotonic()
            if left <= 0:
                break
            seconds = None if self.seconds is None else left
            solution = answered(partial(program.minimise, *part.row(row), seconds), self, example, row)
            if solution is not None:
                best = best.replaced(example, row, part.proved(row, solution))
                agenda.answer(row, best.value[example, row], best.owed[example, row])
        return best


@torch.no_grad()
def relaxed_minimum(model: nn.Module, x: Tensor, threat: Oracles, prop: Property) -> Tensor:
    """The optima that the solver reports, (B, K), for comparisons. They are bounds only up to the solver's tolerance."""
    values, chain = values_of(model, x, threat, form=chained), trace(model, x, threat)
    relax_curves(values, relax=smallest_area)
    boxes = level_boxes(chain, values)
    rows, constant = fold(chain, prop)
    optima = torch.empty_like(constant)
    for example in range(len(x)):
        index = torch.tensor([example], device=x.device)
        program = relaxed_program(
            chain, x[index], threat.select(index), [(lower[index], upper[index]) for lower, upper in boxes]
        )
        for row in range(constant.shape[1]):
            optima[example, row] = program.minimise(rows[example, row], float(constant[example, row])).optimum
    return optima


def relaxed_program(
    chain: LayerChain, x: Tensor, threat: Oracles, bounds: Sequence[Box]
) -> "LinearProgram | HighsProgram":
    """The relaxation of one example x (1, *S): in HiGHS where the set is a polytope, else in cvxpy."""
    polytope = set_polytope(threat, x)
    if polytope is None:
        return linear_program(chain, x, threat, bounds)
    return HighsProgram.of(chain, x, bounds, polytope)


@attrs.define(eq=False, slots=False)
class _Part:
    """One example: the bounds of its values, and the property."""

    chain: LayerChain
    values: ValueBounds
    prop: Property

    @property
    def x(self) -> Tensor:
        """The example, (1, *S)."""
        return self.values.x

    @property
    def threat(self) -> Oracles:
        """The example's set."""
        return self.values.threat

    @cached_property
    def bounds(self) -> list[Box]:
        """The bounds of the levels."""
        return [(lower.detach(), upper.detach()) for lower, upper in level_boxes(self.chain, self.values)]

    @cached_property
    def function(self) -> tuple[Tensor, Tensor]:
        """The property as a function of the last block's input: rows (1, K, *in) and constants (1, K)."""
        return fold(self.chain, self.prop)

    @property
    def finite(self) -> bool:
        """True if all numbers of the program are finite."""
        places = list(zip(self.chain.hidden, self.bounds, strict=True))
        lines = [line for (_, op), box in places for side in op.rule.lines(op, *box) for line in side]
        return all(bool(number.isfinite().all()) for pair in (*self.bounds, *lines) for number in pair)

    def row(self, row: int) -> tuple[Tensor, float]:
        """A row of the property and its constant."""
        rows, constant = self.function
        return rows[0, row].detach(), float(constant[0, row].detach())

    def proved(self, row: int, solution: Solution) -> ClosedRows:
        """The bound of a row that the multipliers of a solution prove, (1, 1)."""
        means = by_node(self.chain, relaxations(self.chain, self.bounds, solution))
        lines = {node: CurveLines.of(self.values, node, relaxation) for node, relaxation in means.items()}
        single = attrs.evolve(
            self.prop,
            weights=self.prop.weights[:, row : row + 1],
            offsets=self.prop.offsets[:, row : row + 1],
            clauses=None,
        )
        return property_bounds(self.values, single, lines)
