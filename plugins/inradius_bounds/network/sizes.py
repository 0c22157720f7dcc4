"""Bounds on the numbers that are added up to make a value, and what their rounding may do to it."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.rows.dot import dot_terms
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.network import Network, mixes
from inradius_bounds.network.protocols import NodeBounds
from inradius_bounds.rounding import ROOM, Rounding, gamma, gammas, tiny, unit
from inradius_bounds.rules.relu import ReLURule
from inradius_bounds.steps.sums import Means, Sum

# each two of (B, *shape): of the computation of bounds, and of the model's own execution; None where there is none
Owed = tuple[Tensor, Tensor | None]


@attrs.define(eq=False, slots=False)
class Sizes:
    """For each node: what a linear function of it owes to rounding, per unit of its rows.

    Rows on a node are taken as they were computed. What one affine step adds to the error of a backward pass is
    γ ⟨|rows|, |W| m + |b|⟩, m bounding the step's inputs. The vector γ (|W| m + |b|) is handed on through steps that add up
    nothing, to the curve that follows, where it widens the lines. Where a step follows that adds numbers up, it is paid when
    the rows arrive at the node (``due``).

    Where values are counted from a reference (see ``Reference``), m bounds their distance from it and b is gone.
    """

    network: Network
    values: NodeBounds
    rounding: Rounding
    _size: dict[Node, Tensor] = attrs.field(factory=dict)
    _deviation: dict[Node, Tensor] = attrs.field(factory=dict)
    _own: dict[Node, Owed] = attrs.field(factory=dict)
    _owed: dict[Node, Owed | None] = attrs.field(factory=dict)
    _single: dict[Node, Owed | None] = attrs.field(factory=dict)
    _runs: dict[Node, Tensor | None] = attrs.field(factory=dict)
    _lost: dict[Node, Tensor] = attrs.field(factory=dict)

    def size(self, node: Node) -> Tensor:
        """A bound on the sizes of all numbers that are added up to make the node's, (B, *shape)."""
        if node not in self._size:
            self._size[node] = self._sized(node)
        return self._size[node]

    def _sized(self, node: Node) -> Tensor:
        if node is self.network.entry or node.curved:
            return self.reach(node)
        if node.join is not None:
            found = node.join.magnitude(*(self.size(source) for source in node.sources))
        else:
            op, source = node.operator, node.sources[0]
            assert op is not None
            found = op.rule.magnitude(op, self.reach(source) if mixes(node) else self.size(source))
        # where the products underflow
        return found + (2 * counts(node)[0] + 8) * tiny(self.rounding.dtype) if node.rounds else found

    def reach(self, node: Node) -> Tensor:
        """A bound on the node's own numbers, (B, *shape)."""
        box = self.values.box(node) if node.curved else self.values.known(node)
        if box is None:
            return self.size(node)
        found = torch.maximum(box[0].abs(), box[1].abs())
        about = self.values.about
        return found if about is None else torch.maximum(found, about.value(node).abs().to(found.dtype))

    def deviation(self, node: Node) -> Tensor:
        """A bound on what is added up to make the node's distance from its reference, and on the distance, (B, *shape)."""
        if self.values.about is None:
            return self.size(node)
        if node not in self._deviation:
            self._deviation[node] = self._deviated(node)
        return self._deviation[node]

    def _deviated(self, node: Node) -> Tensor:
        if node is self.network.entry or node.curved:
            return self.distance(node)
        given = [self.distance(source) if mixes(node) else self.deviation(source) for source in node.sources]
        found = stretched(node, *given) + self._unmatched(node)
        found = found + (2 * counts(node)[0] + 8) * tiny(self.rounding.dtype)
        run = self._run(node)
        return found if run is None else found + run

    def distance(self, node: Node) -> Tensor:
        """A bound on the distance of the node's numbers from its reference, (B, *shape)."""
        if self.values.about is None:
            return self.reach(node)
        if not node.curved and self.values.known(node) is None:
            return self.deviation(node)
        low, high = self.values.around(node)
        return torch.maximum(low.abs(), high.abs())

    def _unmatched(self, node: Node) -> Tensor:
        """By how much the reference of an affine node may miss what its sources' references give, (B, *shape)."""
        forth, _ = counts(node)
        # the size is rounded in a shorter type, and so is this
        small = (2 * forth + 8) * tiny(self.rounding.dtype) + self._small_constants(node)
        return 2 * gamma(forth + 10, torch.float64) * self.size(node) + small

    def _small_constants(self, node: Node) -> Tensor:
        """What constants among the subnormal numbers may be off by, times a node's inputs, (B, 1, ...)."""
        return tiny(self.rounding.dtype) * self._inputs(node)

    def own(self, node: Node) -> Owed:
        """What the node's own step may be off by, per unit of the rows on it: in a backward pass, and in an execution."""
        if node not in self._own:
            self._own[node] = self._step(node)
        return self._own[node]

    def widening(self, node: Node) -> Tensor:
        """What an affine node's interval that comes from those of its sources may be off by, in all."""
        forth, _ = counts(node)
        size, dtype = self.size(node), self.rounding.dtype
        if not node.rounds:
            return torch.zeros_like(size)
        here = gamma(forth + 8, dtype) * size + (2 * forth + 8) * tiny(dtype) + self._small_constants(node)
        run = self._run(node)
        return here if run is None else here + run

    def whole(self, node: Node) -> Tensor:
        """What the bounds of an affine function of the input may be off by, all steps together."""
        made: dict[Node, Tensor] = {}
        left = [node]
        while left:
            each = left.pop()
            if each not in made:
                made[each] = self._least(each)
                left += each.sources
        # rows are pulled to the input
        lost = sum(made.values(), torch.zeros_like(made[node]))
        return self._through(node) + lost.view(-1, *(1,) * len(node.stored))

    def _through(self, node: Node) -> Tensor:
        """The same without what underflow takes."""
        if node is self.network.entry:
            run = self.rounding.execution
            # inputs that a machine takes for 0
            return torch.full_like(self.size(node), 0.0 if run is None else tiny(run))
        # rows over constants are sums of a backward pass
        own = self._step(node, constants=False)[0] + self.widening(node)
        return own + self._passed(node, [self._through(source) for source in node.sources])

    def _step(self, node: Node, *, constants: bool = True) -> Owed:
        size, dtype = self.size(node), self.rounding.dtype
        if node.curved:
            # what its rows owe on its input, the lines know
            return torch.zeros_like(size), self.curve(node, size)
        adds, (forth, back) = self.adds(node), counts(node)
        if self.values.about is not None:
            moved = self._gamma(
                node, self._back(node, back), (5 if node.rounds else -back) + adds, dtype
            ) * self.deviation(node)
            return moved + self._unmatched(node) + (2 * forth + 8) * tiny(dtype), self._run(node)
        # a constant that sources hand on is added up as values are
        sums = forth if any(self.values.handed(source) is not None for source in node.sources) else 1
        # the weights may be off by four roundings, where they were computed from others
        rounds = max(sums, back) + 5 if node.rounds else 0
        if constants and self.values.constant(node) is not None:
            # rows times the node's constants are added up as well
            rounds = max(rounds, sums + dot_terms(node.stored) + 5)
        small = (2 * forth + 8) * tiny(dtype) + self._small_constants(node)
        return gamma(rounds + adds, dtype) * size + small, self._run(node)

    def _run(self, node: Node) -> Tensor | None:
        """What an execution of an affine node may be off by."""
        if node not in self._runs:
            self._runs[node] = self._executed(node)
        return self._runs[node]

    def _executed(self, node: Node) -> Tensor | None:
        run = self.rounding.execution
        if run is None:
            return None
        size, (forth, _) = self.size(node), counts(node)
        if not node.rounds:
            return torch.zeros_like(size)
        peak, inside = self._inside(node, size)
        error = self._gamma(node, self._forth(node, forth), 1, run) * size + (forth + 2) * peak * tiny(run)
        # constants that a machine takes for 0
        error = error + tiny(run) * (peak * self._inputs(node) + inside)
        return _kept(error, torch.maximum(size, inside), run)

    def _inputs(self, node: Node) -> Tensor:
        """A bound on the sum of the sizes of all numbers that a node is made of, (B, 1, ...)."""
        found = torch.stack([total(self.reach(source)) for source in node.sources]).sum(0)
        return found.view(-1, *(1,) * len(node.stored))

    def _inside(self, node: Node, size: Tensor) -> tuple[Tensor | float, Tensor]:
        """What an execution of an affine node may multiply a number by that it makes on the way, and a bound on those numbers."""
        op = node.operator
        module = None if op is None else op.module
        if isinstance(module, Sum):
            return max(1.0, abs(module.factor)), size / min(1.0, abs(module.factor)) if module.factor else size
        if isinstance(module, Means):
            return 1.0, size * module.terms
        inside = getattr(module, "inside", None)
        if inside is None or op is None:
            return 1.0, size
        before = self.reach(node.sources[0])
        if inside.before is not None:
            before = op.rule.magnitude(attrs.evolve(op, module=inside.before), before)
        middle = 0.0 if inside.middle is None else inside.middle.value
        return inside.peak.value, inside.peak.value * (before + middle)

    def adds(self, node: Node) -> int:
        """How many sums of rows a part that a node sends to a source passes, as those of all its uses are added up there."""
        return max((len(self.network.uses[source]) - 1 for source in node.sources), default=0)

    def _forth(self, node: Node, forth: int) -> Tensor | int:
        """How many products of numbers other than 0 a number of an affine node adds up, for each example or for all."""
        op = node.operator
        if op is None:
            return forth
        some = self.reach(node.sources[0]) > 0
        found = op.rule.terms_of(op, some)
        return forth if found is None else found.clamp(max=forth)

    def _back(self, node: Node, back: int) -> Tensor | int:
        """How many rows other than 0 a number of an affine node's adjoint adds up, for each example or for all."""
        op, box = node.operator, self.values.known(node)
        uses = self.network.uses[node]
        if op is None or box is None or not uses or not all(isinstance(_rule(use), ReLURule) for use in uses):
            return back
        # the rows on numbers that are negative end at the ReLU
        found = op.rule.fan_of(op, (box[1] > 0) | (box[0] >= 0))
        return back if found is None else found.clamp(max=back)

    @staticmethod
    def _gamma(node: Node, terms: Tensor | int, more: int, dtype: torch.dtype) -> Tensor | float:
        if isinstance(terms, int):
            return gamma(terms + more, dtype)
        return gammas(terms + more, dtype).view(-1, *(1,) * len(node.stored)).to(dtype)

    def curve(self, node: Node, size: Tensor) -> Tensor | None:
        """What an execution of a curve may be off by, whose exact values are no larger than ``size``."""
        run = self.rounding.execution
        if run is None:
            return None
        op = node.operator
        assert op is not None
        ulps = op.rule.ulps(op)
        if ulps == 0:
            return torch.zeros_like(size)
        return _kept((torch.inf if ulps is None else 2 * ulps * unit(run) * ROOM) * size + tiny(run), size, run)

    def owed(self, node: Node, *, single: bool = False) -> Owed | None:
        """What rows on the node owe per unit, at the node itself; None for nothing.

        single: for rows that see one number each, whose products with the node's weights are not added up.
        """
        kept = self._single if single else self._owed
        if node not in kept:
            kept[node] = self._all(node, single)
        return kept[node]

    def _all(self, node: Node, single: bool) -> Owed | None:
        if self.network.place[node] <= self.network.place[self.values.end]:
            # the box at which passes end holds it
            return None
        if node.curved:
            return self.own(node)
        if single:
            moved = gamma(6 + self.adds(node), self.rounding.dtype) * self.deviation(node)
            moved = moved + (2 * counts(node)[0] + 8) * tiny(self.rounding.dtype)
            found = (moved if self.values.about is None else moved + self._unmatched(node)), self._run(node)
        else:
            found = self.own(node)
        # rows that come back from several uses see several numbers
        alone = [single and not mixes(node) and len(self.network.uses[source]) == 1 for source in node.sources]
        handed = [self.handed(source, single=one) for source, one in zip(node.sources, alone, strict=True)]
        return found if all(each is None for each in handed) else self._with(node, found, handed)

    def handed(self, node: Node, *, single: bool = False) -> Owed | None:
        """What a node hands on to those that are made of it."""
        return None if node in self.network.due or node.curved else self.owed(node, single=single)

    def _with(self, node: Node, found: Owed, handed: list[Owed | None]) -> Owed:
        here = found[0] + self._passed(node, [None if each is None else each[0] for each in handed])
        if found[1] is None:
            return here, None
        return here, found[1] + self._passed(node, [None if each is None else each[1] for each in handed])

    def _passed(self, node: Node, vectors: list[Tensor | None]) -> Tensor:
        """|A| times vectors ≥ 0; the rounding of this is that of the node's size, and counted there."""
        zeros = [torch.zeros_like(self.size(source)) for source in node.sources]
        given = [
            zero if vector is None else vector.expand_as(zero) for zero, vector in zip(zeros, vectors, strict=True)
        ]
        return stretched(node, *given)

    def lost(self, node: Node) -> Tensor:
        """What underflow may take from one row on its way from the node to the input, (B,)."""
        network = self.network
        # not beyond the node: boxes of later ones may not be as tight yet as they will be
        for other in network.nodes[len(self._lost) : network.place[node] + 1]:
            before = next(reversed(self._lost.values()), None)
            least = self._least(other)
            self._lost[other] = least if before is None else before + least
        return self._lost[node]

    def _least(self, node: Node) -> Tensor:
        """What underflow may take at one node, (B,)."""
        sources = [total(self.deviation(source)) for source in node.sources]
        if not sources:
            return self.deviation(node).new_zeros(len(self.values.x))
        products = 8 if node.curved else max(counts(node)) + 8
        numbers = sum(sources, total(self.deviation(node)))
        return ROOM * tiny(self.rounding.dtype) * (products * numbers + 16 * node.stored.numel())


def _rule(node: Node) -> object:
    return None if node.operator is None else node.operator.rule


def _kept(error: Tensor, size: Tensor, dtype: torch.dtype) -> Tensor:
    """Errors, infinite where numbers so large may overflow."""
    return torch.where(size < float(torch.finfo(dtype).max) / 4, error, torch.inf)


def total(numbers: Tensor) -> Tensor:
    """The sum of each example's numbers, (B, *S) -> (B,)."""
    return numbers.sum(dim=tuple(range(1, numbers.ndim)))


def stretched(node: Node, *vectors: Tensor) -> Tensor:
    """|A| vectors of an affine node."""
    if node.join is not None:
        return node.join.stretch(*vectors)
    op = node.operator
    assert op is not None
    return op.rule.stretch(op, vectors[0])


def counts(node: Node) -> tuple[int, int]:
    """How many products a number of an affine node adds up, and how many rows a number of its adjoint, at most."""
    if node.join is not None:
        return node.join.terms, node.join.fan + len(node.sources)
    op = node.operator
    assert op is not None
    return op.rule.terms(op), op.rule.fan(op)
