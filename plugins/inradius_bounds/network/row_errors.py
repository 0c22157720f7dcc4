"""Bounds on the rounding errors of backward passes, as vectors over each node (``RowDebt``).

Rows on a node are taken as they were computed. One affine step z -> W z + b adds at most γ ⟨|rows|, |W| m + |b|⟩ to the error
of a backward pass, where m bounds the step's inputs. The vector γ (|W| m + |b|) is passed to the node's successors, through
steps that add nothing up, as far as the next curve, whose lines it moves apart. Where a step follows that adds numbers up, the
product of |rows| with the vector is added to the pass's error as the rows arrive at the node (``Network.paying_nodes``). Where
values are counted from references, m bounds the distance from them, and b does not count.
"""

from collections import Counter
from collections.abc import Iterable

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.rows.dot import dot_terms
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.deviations import Deviations
from inradius_bounds.network.execution_errors import ExecutionErrors, relative_error
from inradius_bounds.network.magnitudes import Magnitudes, counts, total
from inradius_bounds.network.network import Network, mixes
from inradius_bounds.network.protocols import NodeBounds
from inradius_bounds.rounding import ROOM, gamma, tiny
from inradius_bounds.rules.activations.relu import ReLURule

# two of (B, *shape): the error of the computation of bounds, and that of the model's execution, None for no execution
RowDebt = tuple[Tensor, Tensor | None]


@attrs.define(eq=False)
class RowErrors:
    """For each node, the rounding error of a linear function of it, for each unit of the function's rows."""

    magnitudes: Magnitudes
    executions: ExecutionErrors
    deviations: Deviations
    _own: dict[Node, RowDebt] = attrs.field(factory=dict)
    _owed: dict[Node, RowDebt | None] = attrs.field(factory=dict)
    _single: dict[Node, RowDebt | None] = attrs.field(factory=dict)
    _lost: dict[Node, Tensor] = attrs.field(factory=dict)
    _far: dict[Node, Tensor] = attrs.field(factory=dict)

    @property
    def network(self) -> Network:
        """The network whose nodes these are."""
        return self.magnitudes.network

    @property
    def values(self) -> NodeBounds:
        """The bounds of the network's values."""
        return self.magnitudes.values

    @property
    def dtype(self) -> torch.dtype:
        """The type that bounds are computed in."""
        return self.magnitudes.dtype

    def own(self, node: Node) -> RowDebt:
        """The error of the node's own step for each unit of the rows on it, two of (B, *shape): in a pass, in an execution."""
        if node not in self._own:
            self._own[node] = self.step(node)
        return self._own[node]

    def step(self, node: Node, *, constants: bool = True) -> RowDebt:
        """The error of ``own``, computed anew. ``constants`` counts the products of rows with the node's constants as well."""
        size = self.magnitudes.size(node)
        if node.curved:
            # the lines of the curve hold the errors of the rows on its input
            return torch.zeros_like(size), self.executions.curve(node, size)
        if node.product is not None:
            return torch.zeros_like(size), self.executions.product(node)
        if self.values.about is not None:
            return self._around_reference(node), self.executions.affine(node)
        return self._around_zero(node, constants), self.executions.affine(node)

    def _around_reference(self, node: Node) -> Tensor:
        """The error of an affine step in a pass that counts from references, (B, *shape)."""
        forth, back = counts(node)
        moved = self._sums_of_rows(node, back) * self.deviations.deviation(node)
        return moved + self.deviations.unmatched(node) + (2 * forth + 8) * tiny(self.dtype)

    def _sums_of_rows(self, node: Node, back: int) -> Tensor | float:
        """The relative error of the sums of rows that an affine step and its source make, a number or (B, 1, ...)."""
        if not node.rounds:
            # the step only moves rows; the source still adds up those of its uses
            return gamma(self.adds(node), self.dtype)
        return relative_error(node, self._back(node, back), 5 + self.adds(node), self.dtype)

    def _around_zero(self, node: Node, constants: bool) -> Tensor:
        """The error of an affine step in a pass that counts from 0, (B, *shape)."""
        size, (forth, back) = self.magnitudes.size(node), counts(node)
        # a constant that sources hand on is added up as values are
        sums = forth if any(self.values.handed(source) is not None for source in node.sources) else 1
        # weights that were computed from others may be off by four roundings
        rounds = max(sums, back) + 5 if node.rounds else 0
        if constants and self.values.constant(node) is not None:
            # rows times the node's constants are added up as well
            rounds = max(rounds, sums + dot_terms(node.stored) + 5)
        small = (2 * forth + 8) * tiny(self.dtype) + self.magnitudes.small_constants(node)
        return torch.add(small, size, alpha=gamma(rounds + self.adds(node), self.dtype))

    def adds(self, node: Node) -> int:
        """The most additions that a row of this node passes at a source, where the rows of all uses of the source meet."""
        return max((len(self.network.uses[source]) - 1 for source in node.sources), default=0)

    def _back(self, node: Node, back: int) -> Tensor | int:
        """The most non-zero rows that a number of an affine node's adjoint adds up: for each example (B,), or for all."""
        op, box = node.operator, self.values.known(node)
        uses = self.network.uses[node]
        if op is None or box is None or not uses or not all(isinstance(_rule(use), ReLURule) for use in uses):
            return back
        # rows on negative numbers end at the ReLU
        found = op.rule.fan_of(op, (box[1] > 0) | (box[0] >= 0))
        return back if found is None else found.clamp(max=back)

    def owed(self, node: Node, *, single: bool = False) -> RowDebt | None:
        """The error of rows on the node for each unit of them, with that passed on by its sources, two of (B, *shape) or broadcast.

        None stands for no error. ``single`` is for rows with one non-zero entry each, whose products with the node's weights are
        not added up.
        """
        kept = self._single if single else self._owed
        if node not in kept:
            kept[node] = self._all(node, single)
        return kept[node]

    def _all(self, node: Node, single: bool) -> RowDebt | None:
        if self.network.place[node] <= self.network.place[self.values.end]:
            # the box at which passes end holds the errors of the nodes before it
            return None
        if node.bends:
            return self.own(node)
        if single:
            moved = gamma(6 + self.adds(node), self.dtype) * self.deviations.deviation(node)
            moved = moved + (2 * counts(node)[0] + 8) * tiny(self.dtype)
            about = self.values.about
            found = (moved if about is None else moved + self.deviations.unmatched(node)), self.executions.affine(node)
        else:
            found = self.own(node)
        # the sum of the rows of several uses has several non-zero entries
        alone = [single and not mixes(node) and len(self.network.uses[source]) == 1 for source in node.sources]
        handed = [self.handed(source, single=one) for source, one in zip(node.sources, alone, strict=True)]
        return found if all(each is None for each in handed) else self._with(node, found, handed)

    def handed(self, node: Node, *, single: bool = False) -> RowDebt | None:
        """The part of ``owed`` passed to the node's successors, two of (B, *shape); None for none."""
        return None if node in self.network.paying_nodes or node.bends else self.owed(node, single=single)

    def _with(self, node: Node, found: RowDebt, handed: list[RowDebt | None]) -> RowDebt:
        here = found[0] + self.passed(node, [None if each is None else each[0] for each in handed])
        if found[1] is None:
            return here, None
        return here, found[1] + self.passed(node, [None if each is None else each[1] for each in handed])

    def passed(self, node: Node, vectors: list[Tensor | None]) -> Tensor:
        """|A| times one vector ≥ 0 for each source, (B, *shape), where None is 0.

        Its own rounding is that of the node's size, and is counted there.
        """
        zeros = [torch.zeros_like(self.magnitudes.size(source)) for source in node.sources]
        given = [
            zero if vector is None else vector.expand_as(zero) for zero, vector in zip(zeros, vectors, strict=True)
        ]
        return node.stretch(*given)

    def lost(self, node: Node) -> Tensor:
        """The most that underflow takes from one row on its way from the node to the input, (B,)."""
        if node not in self._lost:
            # no further than the node: boxes of later nodes may not be as tight yet as they will be
            self._lost[node] = self.lost_between(self.network.nodes[: self.network.place[node] + 1])
        return self._lost[node]

    def lost_between(self, nodes: Iterable[Node]) -> Tensor:
        """The most that underflow takes from one row on its way through some nodes, (B,).

        These are operations whose other factors have known sizes, which are added up for each node, and a count of others.
        """
        products, others = Counter[Node](), 0
        for node in nodes:
            if node.sources:
                others += 16 * node.stored.numel()
                for each in (*node.sources, node):
                    products[each] += 8 if node.curved else max(counts(node)) + 8
        if not products:
            return self.values.x.new_zeros(len(self.values.x))
        sizes = torch.stack([self._total(each) for each in products], dim=1)
        found = (sizes * sizes.new_tensor(list(products.values()))).sum(1)
        return ROOM * tiny(self.dtype) * (found + others)

    def _total(self, node: Node) -> Tensor:
        """The sum of the distances of the node's numbers from their references, (B,)."""
        if node not in self._far:
            self._far[node] = total(self.deviations.deviation(node))
        return self._far[node]


def _rule(node: Node) -> object:
    return None if node.operator is None else node.operator.rule
