"""The LP relaxation of a network for one example and one row, stated in cvxpy.

    minimise    c · z + d       over δ ∈ Δ(x), pre-activations ẑ and activations z of every layer
    subject to  ẑ₁ = A₁ (x + δ) + b₁,   ẑᵢ₊₁ = Aᵢ zᵢ + bᵢ,   lines below ≤ zᵢ ≤ lines above.

For the ReLU the lines are those of the convex hull over [ℓ, u] (Ehlers 2017), and the LP is that of wong2018, (3.5).
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from inradius import Oracles, UnsupportedError
from inradius_bounds.box import Box
from inradius_bounds.layout.block import AffineBlock
from inradius_bounds.layout.layer_chain import LayerChain


@attrs.frozen(eq=False)
class Solution:
    """The optimum, and for each hidden layer the multipliers of its lines below and above, (lines, *shape) each.

    ``failure`` says how the solver failed, and is empty for an answer. Without an answer the optimum is NaN and the multipliers
    are 0.
    """

    optimum: float
    below: list[Tensor]
    above: list[Tensor]
    failure: str = ""


class OutOfTimeError(Exception):
    """The limit of time ended a solver before it had an answer."""


@attrs.define(eq=False)
class LinearProgram:
    """The constraints of one example's relaxation. ``minimise`` is called once a row.

    The cost is a constant of each problem. A parameter of cvxpy would save compilations, but makes each a hundred times slower.
    """

    cp: Any
    output: Any
    constraints: list[Any]
    below: list[list[Any]]
    above: list[list[Any]]
    shapes: list[torch.Size]

    def minimise(self, row: Tensor, constant: float, seconds: float | None = None) -> Solution:
        """The minimum of row · z + constant over the relaxation, where z is the last block's input.

        Raises ``OutOfTimeError`` where it takes longer than ``seconds``.
        """
        problem = self.cp.Problem(self.cp.Minimize(array(row.flatten()) @ self.output), self.constraints)
        failure = _solve(self.cp, problem, seconds)
        if failure:
            return Solution(math.nan, self._none(self.below, row), self._none(self.above, row), failure)
        below, above = (
            [
                torch.stack([_multiplier(line, shape, row) for line in lines])
                for lines, shape in zip(side, self.shapes, strict=True)
            ]
            for side in (self.below, self.above)
        )
        return Solution(float(problem.value) + constant, below, above)

    def _none(self, side: list[list[Any]], like: Tensor) -> list[Tensor]:
        """Multipliers of 0, for the lines of one side of every layer."""
        sizes = zip(side, self.shapes, strict=True)
        return [torch.zeros((len(lines), *shape), dtype=like.dtype, device=like.device) for lines, shape in sizes]


def linear_program(chain: LayerChain, x: Tensor, threat: Oracles, bounds: Sequence[Box]) -> LinearProgram:
    """The relaxation of one example x (1, *S) with the given bounds of its hidden layers."""
    cp = cvxpy_module()
    delta = cp.Variable(x.numel())
    value: Any = array(x.flatten()) + delta
    constraints = list(threat.constraints(delta, x[0]))
    below: list[list[Any]] = []
    above: list[list[Any]] = []
    for (block, activation), (lower, upper) in zip(chain.hidden, bounds, strict=True):
        before = affine_matrix(block, x) @ value + array(block.offset(x).flatten())
        after = cp.Variable(block.out_shape.numel())
        floor, ceiling = activation.rule.lines(activation, lower, upper)
        lines = [
            after >= cp.multiply(array(slope.flatten()), before) + array(offset.flatten()) for slope, offset in floor
        ]
        roof = [
            after <= cp.multiply(array(slope.flatten()), before) + array(offset.flatten()) for slope, offset in ceiling
        ]
        constraints += lines + roof
        below.append(lines)
        above.append(roof)
        value = after
    return LinearProgram(cp, value, constraints, below, above, [block.out_shape for block, _ in chain.hidden])


def cvxpy_module() -> Any:
    """The module cvxpy. Raises ``UnsupportedError`` where it is not installed."""
    try:
        import cvxpy
    except ImportError as error:
        raise UnsupportedError(
            'lp needs the package cvxpy, which is not installed; pip install "inradius[lp]"'
        ) from error
    return cvxpy


def _solve(cp: Any, problem: Any, seconds: float | None) -> str:
    """The solver's failure in words, empty for an answer. HiGHS solves where the set is a polytope, else Clarabel."""
    solver = cp.HIGHS if problem.is_lp() and cp.HIGHS in cp.installed_solvers() else cp.CLARABEL
    limit = {} if seconds is None else {"time_limit": seconds}
    with warnings.catch_warnings():
        # the multipliers are proved on their own, so inaccurate ones are sound
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        try:
            problem.solve(solver=solver, **limit)
        except cp.SolverError as error:
            # an interior-point method may fail on numbers of very different sizes
            return f"{solver}: {error}"
    if problem.status == cp.USER_LIMIT:
        raise OutOfTimeError
    return "" if problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) else f"{solver} ended with {problem.status}"


def affine_matrix(block: AffineBlock, x: Tensor) -> Any:
    """The block's matrix, sparse, (out, in)."""
    from scipy import sparse

    size = block.out_shape.numel()
    index = [torch.arange(first, min(first + 256, size), device=x.device)[None] for first in range(0, size, 256)]
    parts = [block.unit_rows(part, x.dtype)[0].flatten(1) for part in index]
    return sparse.vstack([sparse.csr_array(array(part)) for part in parts])


def array(values: Tensor) -> Any:
    """The numbers as a float64 array."""
    return values.detach().double().cpu().numpy()


def _multiplier(line: Any, shape: torch.Size, like: Tensor) -> Tensor:
    found = np.maximum(np.asarray(line.dual_value), 0.0)
    return torch.as_tensor(found, dtype=like.dtype, device=like.device).view(shape)
