"""A ReLU network over a polytope as a mixed-integer program in HiGHS."""

from collections.abc import Sequence

import attrs
from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.solvers.highs_solver import HighsSolver, Optimum, SearchTarget
from inradius_bounds.solvers.linear_program import array
from inradius_bounds.solvers.polytope import Polytope, RelaxedNetwork, relaxation, switches


@attrs.frozen(eq=False)
class SwitchedProgram:
    """One example's program, with a switch for every undecided ReLU. ``minimise`` changes the cost alone."""

    program: RelaxedNetwork
    solver: HighsSolver
    linear: bool

    @classmethod
    def of(
        cls, chain: LayerChain, x: Tensor, bounds: Sequence[Box], polytope: Polytope, seconds: float | None
    ) -> "SwitchedProgram":
        """The network over the polytope of one example x (1, *S), with bounds of its hidden layers.

        ``seconds`` limits each search.
        """
        program = relaxation(chain, x, bounds, polytope, boxed=True)
        whole, columns = switches(program, chain, bounds)
        return cls(program, HighsSolver(whole, columns, seconds), not len(columns))

    def minimise(self, row: Tensor, constant: float, sign: SearchTarget | None) -> Optimum:
        """The minimum of row · z + constant, where z is the last block's input; with ``sign``, enough of it to decide the sign."""
        cost = array(row.flatten())
        left_out = constant + float(cost @ self.program.shift)
        found = self.solver.minimise(self.program.output, cost, sign and sign.less(left_out))
        if sign is not None and sign.refuted <= found.value + left_out <= sign.proved:
            # a value between the two targets is searched to the end
            found = self.solver.minimise(self.program.output, cost)
        value, bound = found.value + left_out, found.bound + left_out
        # for a plain linear program the optimum is the bound
        return attrs.evolve(found, value=value, bound=value if self.linear else bound)
