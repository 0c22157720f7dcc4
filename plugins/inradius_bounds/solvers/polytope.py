"""Polytopes in matrix form: the set Δ(x) of one example, and a network's relaxation over it, as HiGHS reads them."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from inradius import Oracles
from inradius_bounds.box import Box
from inradius_bounds.layout.block import AffineBlock
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.solvers.linear_program import affine_matrix, array, cvxpy_module


@attrs.frozen(eq=False)
class Polytope:
    """The set {v : row_lower ≤ A v ≤ row_upper, lower ≤ v ≤ upper}. A is sparse, by columns. ``delta`` holds the columns of δ."""

    matrix: Any
    row_lower: Any
    row_upper: Any
    lower: Any
    upper: Any
    delta: Any


def set_polytope(threat: Oracles, x: Tensor) -> Polytope | None:
    """Δ(x) of one example x (1, *S), from its cvxpy constraints; None where it is no polytope."""
    from scipy import sparse

    cp = cvxpy_module()
    delta = cp.Variable(x.numel())
    # the cost keeps every coordinate in the problem
    problem = cp.Problem(cp.Minimize(cp.sum(delta)), threat.constraints(delta, x[0]))
    if not problem.is_lp():
        return None
    data, _, _ = problem.get_problem_data(cp.CLARABEL)
    dims, count = data["dims"], len(data["c"])
    column = data["param_prob"].var_id_to_col[delta.id]
    upper = np.asarray(data["b"], dtype=float)
    lower = np.where(np.arange(len(upper)) < dims.zero, upper, -np.inf)
    free = np.full(count, np.inf)
    return Polytope(sparse.csc_array(data["A"]), lower, upper, -free, free, np.arange(column, column + x.numel()))


@attrs.frozen(eq=False)
class LayerColumns:
    """The columns of a hidden layer's inputs and outputs, and the first row of each of its lines below and above."""

    before: Any
    after: Any
    below: list[int]
    above: list[int]


@attrs.frozen(eq=False)
class RelaxedNetwork:
    """A network's relaxation over a polytope. ``output`` holds the columns of the last block's input."""

    polytope: Polytope
    layers: list[LayerColumns]
    output: Any
    # the part of the output that its columns leave out: the image itself, where there is no hidden layer
    shift: Any


def relaxation(
    chain: LayerChain, x: Tensor, bounds: Sequence[Box], inner: Polytope, *, boxed: bool = False
) -> RelaxedNetwork:
    """The LP relaxation of one example x (1, *S), with the lines of each layer's rule over its bounds.

    ``boxed`` keeps every value within its bounds as well, which no mean of lines can prove.
    """
    build = _Builder(inner)
    columns, shift = inner.delta, array(x.flatten())
    layers: list[LayerColumns] = []
    for (block, activation), (lower, upper) in zip(chain.hidden, bounds, strict=True):
        boxes = [(lower, upper), activation.rule.interval(activation, lower, upper)]
        before, after = (build.columns(*(_end(array(end.flatten()), boxed) for end in box)) for box in boxes)
        build.affine(before, columns, block, x, shift)
        floor, ceiling = activation.rule.lines(activation, lower, upper)
        below = [build.line(after, before, slope, offset, +1) for slope, offset in floor]
        above = [build.line(after, before, slope, offset, -1) for slope, offset in ceiling]
        layers.append(LayerColumns(before, after, below, above))
        columns, shift = after, np.zeros(len(after))
    return RelaxedNetwork(build.built(), layers, columns, shift)


def _end(values: Any, boxed: bool) -> Any:
    return values if boxed else np.full(len(values), np.nan)


class _Builder:
    """Collects rows and columns for one sparse matrix."""

    def __init__(self, inner: Polytope) -> None:
        self._inner = inner
        self._lower, self._upper = [inner.lower], [inner.upper]
        self._row_lower, self._row_upper = [inner.row_lower], [inner.row_upper]
        self._width, self._height = len(inner.lower), len(inner.row_lower)
        entries = inner.matrix.tocoo()
        self._rows, self._columns, self._values = [entries.row], [entries.col], [entries.data]

    def columns(self, lower: Any, upper: Any) -> Any:
        """New variables with these bounds, where NaN is no bound."""
        found = np.arange(self._width, self._width + len(lower))
        self._width += len(lower)
        self._lower.append(np.where(np.isnan(lower), -np.inf, lower))
        self._upper.append(np.where(np.isnan(upper), np.inf, upper))
        return found

    def rows(self, entries: Sequence[tuple[Any, Any, Any]], lower: Any, upper: Any) -> int:
        """The number of the first of new rows, from (row, column, value) triples whose rows count from 0."""
        first = self._height
        for row, column, value in entries:
            self._rows.append(np.asarray(row) + first)
            self._columns.append(np.asarray(column))
            self._values.append(np.asarray(value, dtype=float))
        self._height += len(lower)
        self._row_lower.append(lower)
        self._row_upper.append(upper)
        return first

    def affine(self, target: Any, source: Any, block: AffineBlock, x: Tensor, shift: Any) -> None:
        """Adds target = A (source + shift) + b."""
        matrix = affine_matrix(block, x).tocoo()
        constant = array(block.offset(x).flatten()) + matrix @ shift
        own = np.arange(len(target))
        self.rows(
            [(own, target, np.ones(len(own))), (matrix.row, source[matrix.col], -matrix.data)], constant, constant
        )

    def line(self, after: Any, before: Any, slope: Tensor, offset: Tensor, sign: int) -> int:
        """The number of the first row of after − slope · before ≥ offset (sign 1) or ≤ offset (sign −1), which is added."""
        own, none = np.arange(len(after)), np.full(len(after), np.inf)
        side = array(offset.flatten())
        entries = [(own, after, np.ones(len(own))), (own, before, -array(slope.flatten()))]
        return self.rows(entries, side if sign > 0 else -none, none if sign > 0 else side)

    def built(self) -> Polytope:
        """The polytope of all rows."""
        from scipy import sparse

        triples = np.concatenate(self._values), (np.concatenate(self._rows), np.concatenate(self._columns))
        matrix = sparse.csc_array(triples, shape=(self._height, self._width))
        rows = np.concatenate(self._row_lower), np.concatenate(self._row_upper)
        return Polytope(matrix, *rows, np.concatenate(self._lower), np.concatenate(self._upper), self._inner.delta)


def switches(program: RelaxedNetwork, chain: LayerChain, bounds: Sequence[Box]) -> tuple[Polytope, Any]:
    """The program with every undecided ReLU exact, by a column of 0 or 1 for each, and the numbers of those columns.

    The constraints are z ≤ u a and z ≤ ẑ − ℓ (1 − a), beside the lines below. Source: tjeng2019.
    """
    build = _Builder(program.polytope)
    chosen = []
    for layer, (_, activation), (lower, upper) in zip(program.layers, chain.hidden, bounds, strict=True):
        low, high = array(lower.flatten()), array(upper.flatten())
        crossing = np.flatnonzero(activation.rule.undecided(activation, lower, upper).flatten().cpu().numpy())
        if not len(crossing):
            continue
        own, one, none = np.arange(len(crossing)), np.ones(len(crossing)), np.full(len(crossing), -np.inf)
        active = build.columns(np.zeros(len(crossing)), one)
        after, before = layer.after[crossing], layer.before[crossing]
        build.rows([(own, after, one), (own, active, -high[crossing])], none, np.zeros(len(crossing)))
        entries = [(own, after, one), (own, before, -one), (own, active, -low[crossing])]
        build.rows(entries, none, -low[crossing])
        chosen.append(active)
    found = np.concatenate(chosen) if chosen else np.zeros(0, dtype=int)
    return build.built(), found


def as_tensor(values: Any, like: Tensor) -> Tensor:
    """An array as a tensor of the type and device of ``like``."""
    return torch.as_tensor(np.asarray(values), dtype=like.dtype, device=like.device)
