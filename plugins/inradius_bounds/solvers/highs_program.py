"""The LP relaxation of one example in HiGHS."""

from collections.abc import Sequence

import attrs
import numpy as np
import torch
from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.solvers.highs_solver import HighsSolver
from inradius_bounds.solvers.linear_program import OutOfTimeError, Solution, array
from inradius_bounds.solvers.polytope import Polytope, RelaxedNetwork, as_tensor, relaxation


@attrs.frozen(eq=False)
class HighsProgram:
    """The constraints of one example's relaxation. ``minimise`` is called once a row, and changes the cost alone."""

    program: RelaxedNetwork
    solver: HighsSolver
    shapes: list[torch.Size]

    @classmethod
    def of(cls, chain: LayerChain, x: Tensor, bounds: Sequence[Box], polytope: Polytope) -> "HighsProgram":
        """The relaxation over a polytope, with the given bounds of the hidden layers."""
        program = relaxation(chain, x, bounds, polytope)
        return cls(program, HighsSolver(program.polytope), [block.out_shape for block, _ in chain.hidden])

    def minimise(self, row: Tensor, constant: float, seconds: float | None = None) -> Solution:
        """The minimum of row · z + constant over the relaxation, where z is the last block's input.

        Raises ``OutOfTimeError`` where it takes longer than ``seconds``.
        """
        cost = array(row.flatten())
        found = self.solver.minimise(self.program.output, cost, seconds=seconds)
        if found.late:
            raise OutOfTimeError
        below, above = [], []
        for layer, shape in zip(self.program.layers, self.shapes, strict=True):
            # a row at its lower end has a multiplier ≥ 0, one at its upper end one ≤ 0
            below.append(self._weights(found.duals, layer.below, shape, row, +1.0))
            above.append(self._weights(found.duals, layer.above, shape, row, -1.0))
        return Solution(found.value + constant + float(cost @ self.program.shift), below, above, found.failure)

    @staticmethod
    def _weights(duals: object, first: list[int], shape: torch.Size, like: Tensor, sign: float) -> Tensor:
        values = np.asarray(duals)
        size = shape.numel()
        lines = [as_tensor(np.maximum(sign * values[row : row + size], 0.0), like).view(shape) for row in first]
        return torch.stack(lines)
