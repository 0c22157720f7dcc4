"""The certifier ``milp``: the exact minimum of a ReLU network over a polytope, by mixed-integer programming."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import attrs
import torch
from attrs.validators import optional
from torch import Tensor, nn

from inradius import Bounds, Certifier, ExampleRNG, Oracles, Property, UnsupportedError
from inradius.components.validators import as_float, positive
from inradius_bounds.backward.certifier_bounds import bounds_of, chained, values_of
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.box import Box
from inradius_bounds.capture.trace import trace
from inradius_bounds.certifiers.crown import closed
from inradius_bounds.certifiers.solver_answers import answered, slack_of, verdicts_alone
from inradius_bounds.layout.forward import fold
from inradius_bounds.layout.layer_bounds import level_boxes
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.layout.parallel_layers import ParallelLayers
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.solvers.agenda import Agenda
from inradius_bounds.solvers.highs_solver import SearchTarget
from inradius_bounds.solvers.polytope import Polytope, set_polytope
from inradius_bounds.solvers.switched_program import SwitchedProgram

# the assumed error of HiGHS, relative to 1 + |value|; its feasibility tolerance is 1e-7 to 1e-6
TOLERANCE = 1e-5


@attrs.frozen(kw_only=True)
class MILP(Certifier):
    """Bounds each margin by its exact minimum: every undecided ReLU is a switch, and HiGHS searches over the switches.

    It is for ReLU networks and sets that are polytopes. The layer bounds are those of ``crown``. The reported bound is the one
    that HiGHS gave at its end, less its tolerance, or that of ``crown`` where it is higher. ``seconds`` limits each search (one
    per example and class); then the bound so far counts. This is the answer of a solver that computes in floating point, and no
    proof, so the claim is "solver". Where the bound of ``crown`` alone proves an example, the claim is "real", and the increase
    by the search is stated as error. In brackets and cascades a search ends when it knows the sign of the minimum, and classes
    that no longer matter are not searched. Where HiGHS fails, a class keeps the bound of ``crown``. It is meant for small
    networks. Source: tjeng2019.
    """

    widens = True

    seconds: float | None = attrs.field(
        default=None, validator=optional(positive), converter=attrs.converters.optional(as_float)
    )

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        values, chain = values_of(model, x, threat, form=chained), trace(model, x, threat)
        _check_relus(chain)
        if len(x):
            # the set is refused even where no example is left to the solver
            _polytope(threat.select(torch.zeros(1, dtype=torch.int64, device=x.device)), x[:1])
        best = closed(relax_curves(values, relax=smallest_area), prop)
        levels, (rows, constant) = level_boxes(chain, values), fold(chain, prop)
        value, error, slack = best.value, best.owed, slack_of(bounds_of(values, best))
        for example in range(len(x)):
            index = torch.tensor([example], device=x.device)
            boxes = [(lower[index], upper[index]) for lower, upper in levels]
            if not all(bool(side.isfinite().all()) for box in boxes for side in box):
                continue
            agenda = Agenda.of(prop, value[example], error[example] if verdicts_alone() else None, slack[example])
            build = partial(self._program, chain, x[index], threat.select(index), boxes)
            found = self._bounds(build, (rows[example], constant[example]), agenda, example)
            value = value.index_put((index,), torch.maximum(value[index], found.to(value)[None]))
        return _claimed(value, bounds_of(values, best), prop)

    def _program(self, chain: LayerChain, x: Tensor, threat: Oracles, bounds: Sequence[Box]) -> SwitchedProgram:
        return SwitchedProgram.of(chain, x, bounds, _polytope(threat, x), self.seconds)

    @torch.no_grad()
    def _bounds(
        self, build: Callable[[], SwitchedProgram], function: tuple[Tensor, Tensor], agenda: Agenda, example: int
    ) -> Tensor:
        """The bound that HiGHS claims for each row of one example, (K,); −∞ where it is not asked or fails."""
        found, program = torch.full(agenda.value.shape, -torch.inf, dtype=torch.float64), None
        for row in agenda:
            program = build() if program is None else program
            asked = function[0][row], float(function[1][row]), _sign(agenda, row)
            best = answered(partial(program.minimise, *asked), self, example, row)
            if best is not None:
                found[row] = best.bound - TOLERANCE * (1 + abs(best.bound))
                agenda.answer(row, torch.maximum(agenda.value[row], found[row].to(agenda.value)))
        return found


def _sign(agenda: Agenda, row: int) -> SearchTarget | None:
    """The target of a row's search where its sign is enough: beyond its error and the solver's tolerance; else None."""
    error, doubt = float(agenda.error[row]), float(agenda.doubt[row])
    if not agenda.decide or not error + doubt < math.inf:
        return None
    return SearchTarget((error + TOLERANCE) / (1 - TOLERANCE), -doubt)


def _polytope(threat: Oracles, x: Tensor) -> Polytope:
    """Δ(x) of one example. Raises ``UnsupportedError`` where it is no polytope."""
    polytope = set_polytope(threat, x)
    if polytope is None:
        raise UnsupportedError(f"{threat} is no polytope; milp certifies sets such as linf, l1 and wasserstein")
    return polytope


def _claimed(value: Tensor, crown: Bounds, prop: Property) -> Bounds:
    """The solver's bounds, (B, K), of level "solver", except where those of ``crown`` with their error decide the example."""
    proved, error = crown.value, crown.error
    if not isinstance(error, Tensor):
        return Bounds(value, claim="solver")
    real = prop.holds(proved.detach() > error)
    # rounded up; a row above this error is above its rounding error without the solver
    wide = (error + (value - proved).detach()) * (1 + 4 * torch.finfo(error.dtype).eps)
    kept = real[:, None] & (value.detach() > wide)
    return Bounds(
        torch.where(real[:, None] & ~kept, proved, value),
        error=torch.where(kept, wide, error),
        claim=tuple(claim if settled else "solver" for claim, settled in zip(crown.claims, real.tolist(), strict=True)),
        float_cost=crown.float_cost,
    )


def _check_relus(chain: LayerChain) -> None:
    for _, activation in chain.hidden:
        layers = activation.module.layers if isinstance(activation.module, ParallelLayers) else (activation,)
        for layer in layers:
            if not isinstance(layer.module, nn.ReLU | nn.Identity):
                raise UnsupportedError(
                    f"{layer.path} is {type(layer.module).__name__}; milp certifies networks of affine layers and ReLU"
                )
