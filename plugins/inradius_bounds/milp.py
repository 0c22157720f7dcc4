"""The exact minimum of a ReLU network over a polytope, by mixed-integer programming."""

from collections.abc import Sequence

import attrs
import torch
from attrs.validators import optional
from torch import Tensor, nn

from inradius import Bounds, Certifier, Oracles, Property, Streams, UnsupportedError
from inradius.validators import as_float, positive
from inradius_bounds.backward import Rows
from inradius_bounds.crown import closed
from inradius_bounds.forward import Box, fold
from inradius_bounds.highs import Optimum, Solver
from inradius_bounds.layer_bounds import layer_bounds
from inradius_bounds.layout.segments import Segments
from inradius_bounds.linear_program import array
from inradius_bounds.polytope import relaxation, set_polytope, switches
from inradius_bounds.relax import smallest_area
from inradius_bounds.rounding import rounding_error
from inradius_bounds.trace import Chain, trace

# what HiGHS may be off by, relative to 1 + |value|: its feasibility tolerance is 1e-7 to 1e-6
TOLERANCE = 1e-5


@attrs.frozen(kw_only=True)
class MILP(Certifier):
    """Bounds each margin by its exact minimum: every undecided ReLU is a switch, and HiGHS searches over the switches.

    For ReLU networks and sets that are polytopes; the layer bounds are those of ``crown``. What is reported is the bound
    that HiGHS gave when it ended, less its tolerance, or that of ``crown`` where that is higher; ``seconds`` limits each search
    (one per example and class), after which the bound so far counts. That is the word of a solver which computes in floating
    point, and no proof: the claim is "solver". Where the bound of ``crown`` alone proves an example, the claim is "real", and
    what the search adds to that bound is stated as error. For small networks. Source: tjeng2019.
    """

    widens = True

    seconds: float | None = attrs.field(
        default=None, validator=optional(positive), converter=attrs.converters.optional(as_float)
    )

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        chain = trace(model, x, threat)
        _check_relus(chain)
        layers = layer_bounds(chain, x, threat, relax=smallest_area)
        rows, constant = fold(chain, prop)
        value = proved = closed(chain, Rows(rows, constant), layers, x, threat, intersect=True, best=True)
        for example in range(len(x)):
            index = torch.tensor([example], device=x.device)
            boxes = [(lower[index], upper[index]) for lower, upper in layers.bounds]
            if not all(bool(side.isfinite().all()) for box in boxes for side in box):
                continue
            found = self._example(chain, x[index], threat.select(index), boxes, Rows(rows[example], constant[example]))
            value = value.index_put((index,), torch.maximum(value[index], found.to(value)[None]))
        return _claimed(value, proved, rounding_error(chain, x, threat, layers.bounds, prop, relax=smallest_area), prop)

    @torch.no_grad()
    def _example(self, chain: Chain, x: Tensor, threat: Oracles, bounds: Sequence[Box], function: Rows) -> Tensor:
        """What HiGHS proves of each row of one example, (K,)."""
        polytope = set_polytope(threat, x)
        if polytope is None:
            raise UnsupportedError(f"{threat} is no polytope; milp certifies sets such as linf, l1 and wasserstein")
        program = relaxation(chain, x, bounds, polytope, boxed=True)
        whole, columns = switches(program, chain, bounds)
        solver = Solver(whole, columns, self.seconds)
        values = []
        for row, constant in zip(function.rows, function.constant, strict=True):
            cost = array(row.flatten())
            best = _bound(solver.minimise(program.output, cost), len(columns) > 0)
            value = best + float(cost @ program.shift) + float(constant)
            values.append(value - TOLERANCE * (1 + abs(value)))
        return torch.tensor(values, dtype=torch.float64)


def _claimed(value: Tensor, proved: Tensor, error: Tensor, prop: Property) -> Bounds:
    """The solver's bounds, (B, K): "real" where those that are proved, of the stated error, settle the example, else "solver"."""
    real = prop.holds(proved.detach() > error)
    # rounded up; a row above all of it is above its rounding error without the solver
    wide = (error + (value - proved).detach()) * (1 + 4 * torch.finfo(error.dtype).eps)
    kept = real[:, None] & (value.detach() > wide)
    return Bounds(
        torch.where(real[:, None] & ~kept, proved, value),
        error=torch.where(kept, wide, error),
        claim=tuple("real" if settled else "solver" for settled in real.tolist()),
    )


def _bound(found: Optimum, switched: bool) -> float:
    """The bound proved by the search; of a plain LP its optimum."""
    return found.bound if switched else found.value


def _check_relus(chain: Chain) -> None:
    for _, activation in chain.hidden:
        layers = activation.module.layers if isinstance(activation.module, Segments) else (activation,)
        for layer in layers:
            if not isinstance(layer.module, nn.ReLU | nn.Identity):
                raise UnsupportedError(
                    f"{layer.path} is {type(layer.module).__name__}; milp certifies networks of affine layers and ReLU"
                )
