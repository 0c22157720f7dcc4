"""Bounds of the inputs of all curves, by intervals and by backward passes (Algorithm 1 of Wong 2020).

The nodes are bounded in order. Each gets interval bounds first, and then rows for the numbers that those leave undecided. An
example's rows are its own. A batch is padded to the longest list of rows, which changes no example's bounds.
"""

from typing import Literal

import attrs
import torch
from torch import Tensor

from inradius import ActivationRule, Relaxation
from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.beaten import beaten, decided
from inradius_bounds.backward.curve_lines import CurveLines
from inradius_bounds.backward.memory import rows_at_once
from inradius_bounds.backward.pass_ends import both
from inradius_bounds.backward.product_planes import Planes, planes
from inradius_bounds.backward.row_sizes import numbers_of_row
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.magnitudes import total
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import Relax, between, least_area, relax_by_rule, smallest_area, where
from inradius_bounds.steps.window_maximum import WindowMaximum

# the source of the bounds of inner layers: the backward pass, or interval arithmetic alone
Inner = Literal["backward", "interval"]
# the share by which the area between parallel lines may be larger than the least
_WIDER = 1e-3


@attrs.define(eq=False)
class CurveRelaxations:
    """The relaxation of each curve over its bounds, and the lines that inner passes use."""

    values: ValueBounds
    relaxations: dict[Node, Relaxation] = attrs.field(factory=dict)
    lines: dict[Node, CurveLines | Planes] = attrs.field(factory=dict)
    _parallel: dict[Node, CurveLines] = attrs.field(factory=dict)
    _paying: dict[Node, CurveLines | Planes] = attrs.field(factory=dict)
    # the boxes from backward passes alone, by node, where slopes are chosen by them
    backward: dict[Node, Box] = attrs.field(factory=dict)
    slopes: bool = False
    # the relaxations of the rules over the same boxes, where lines that were computed for others show them
    by_rule: dict[Node, Relaxation] = attrs.field(factory=dict)

    def add(self, node: Node, relax: Relax) -> None:
        """Relaxes a curve whose input has a box."""
        op, source = node.required_operator, node.sources[0]
        box = self.values.box(source)
        if relax is smallest_area:
            found, own = least_area(op, *box)
            if own is not None:
                self.by_rule[node] = own
                if not self.slopes and isinstance(op.rule, ActivationRule):
                    found = _parallel_if_near(own, found, box)
        else:
            found = relax(op, *box)
        if source in self.backward and found.parallel:
            slope = relax(op, *self.backward[source]).lower_slope
            found = op.rule.with_slope(op, slope, *self.values.box(source))
        self.relaxations[node] = found

    def line(self, node: Node) -> CurveLines | Planes:
        """The lines of a curve or the planes of a product, moved apart by all rounding errors of rows on it."""
        if node not in self.lines:
            self.lines[node] = self.paying(node).folded
        return self.lines[node]

    @property
    def by_rule_alone(self) -> bool:
        """True if the relaxations of all curves are those of their rules."""
        return all(found is self.by_rule.get(node) for node, found in self.relaxations.items())

    def parallel(self, node: Node) -> CurveLines | Planes:
        """Parallel lines of a curve, moved apart in the same way; those of ``line`` where none are known, and for a product."""
        if node not in self.by_rule:
            return self.line(node)
        if node not in self._parallel:
            self._parallel[node] = CurveLines.of(self.values, node, self.by_rule[node]).folded
        return self._parallel[node]

    def paying(self, node: Node) -> CurveLines | Planes:
        """The lines of a curve or the planes of a product, which state the rounding errors of rows on it."""
        if node not in self._paying:
            self._paying[node] = (
                planes(self.values, node)
                if node.product is not None
                else CurveLines.of(self.values, node, self.relaxations[node])
            )
        return self._paying[node]


def _parallel_if_near(parallel: Relaxation, least: Relaxation, box: Box) -> Relaxation:
    """The lines with the least area between them; in examples in which parallel lines are hardly wider, those.

    Between parallel lines rows are not doubled.
    """
    middle, width = (box[0] + box[1]) / 2, box[1] - box[0]
    wide, narrow = (total(between(each, middle, width).detach()) for each in (parallel, least))
    near = wide <= (1 + _WIDER) * narrow
    if bool(near.all()):
        return parallel
    return where(near, parallel, least) if bool(near.any()) else least


def relax_curves(
    values: ValueBounds,
    *,
    intersect: bool = True,
    relax: Relax = relax_by_rule,
    inner: Inner = "backward",
    slopes: bool = False,
) -> CurveRelaxations:
    """The curves' relaxations over boxes of all their inputs over Δ(x); the boxes are kept in ``values``.

    With ``intersect``, interval bounds are kept where they are tighter, and only undecided numbers get rows. Without, all
    bounds are those of the backward pass alone. With ``inner="interval"`` all are interval bounds.
    """
    found, network = CurveRelaxations(values, slopes=slopes), values.network
    for node in network.nodes:
        if node.curved:
            found.add(node, relax)
        elif node in network.curve_inputs and node not in network.affine_nodes and inner == "backward":
            values.boxes[node] = _refined(found, node, values.box(node), intersect)
    return found


def over_boxes(found: CurveRelaxations, relax: Relax) -> CurveRelaxations:
    """Other relaxations of the curves over the same boxes."""
    other = CurveRelaxations(found.values)
    for node in found.relaxations:
        if relax is relax_by_rule and node in found.by_rule:
            other.relaxations[node] = found.by_rule[node]
        else:
            other.add(node, relax)
    return other


def _refined(before: CurveRelaxations, node: Node, start: Box, intersect: bool) -> Box:
    """The box of a node, tightened by rows where that may tighten the relaxation of a curve on it."""
    wanted = undecided(before.values, node, start) if intersect else torch.ones_like(start[0], dtype=torch.bool)
    index, used = ragged(wanted.flatten(1))
    if not index.shape[1]:
        return start
    lower, upper = _row_bounds(before, node, index)
    flat = (start[0].flatten(1), start[1].flatten(1))
    examples, rows = used.nonzero(as_tuple=True)
    places = (examples, index[examples, rows])
    if intersect:
        if before.slopes:
            before.backward[node] = _placed(flat, places, (lower[examples, rows], upper[examples, rows]), start)
        lower = torch.maximum(lower, flat[0].gather(1, index))
        upper = torch.minimum(upper, flat[1].gather(1, index))
    return _placed(flat, places, (lower[examples, rows], upper[examples, rows]), start)


def _placed(flat: Box, places: tuple[Tensor, Tensor], numbers: Box, like: Box) -> Box:
    """A box with other numbers at the given places."""
    lower, upper = (side.index_put(places, number) for side, number in zip(flat, numbers, strict=True))
    return lower.view_as(like[0]), upper.view_as(like[1])


def undecided(values: ValueBounds, node: Node, box: Box) -> Tensor:
    """A mask of the numbers at which tighter bounds would tighten the relaxation of a curve or product of the node, (B, *shape)."""
    found = torch.zeros_like(box[0], dtype=torch.bool)
    for use in values.network.uses[node]:
        if use.curved:
            found = found | use.required_operator.rule.undecided(use.required_operator, *box)
        elif isinstance(use.product, WindowMaximum):
            found = found | use.product.undecided(*box)
        elif use.product is not None:
            found = found | ~(box[1] <= box[0])
    lost = beaten(values, node)
    return found if lost is None else found & ~lost


def ragged(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The indices of the True entries of each row of a mask (B, n), and True where they are not padding, two of (B, K).

    K is the largest number of True entries of a row. Shorter rows are padded with index 0.
    """
    if len(wanted) == 1:
        places = wanted.nonzero()[:, 1][None]
        return places, torch.ones_like(places, dtype=torch.bool)
    counts = wanted.sum(1)
    longest = int(counts.max()) if len(counts) else 0
    # a stable sort puts the wanted places first, in order
    index = wanted.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :longest]
    used = torch.arange(longest, device=wanted.device) < counts[:, None]
    return torch.where(used, index, torch.zeros_like(index)), used


def _row_bounds(before: CurveRelaxations, node: Node, index: Tensor) -> Box:
    """Bounds of chosen numbers of a node by backward passes, flat indices (B, K) -> two of (B, K)."""
    step = rows_at_once(before.values, numbers_of_row(before.values.network, node))
    sides = [row_bounds(before, node, part) for part in torch.split(index, step, dim=1)]
    lower, upper = zip(*sides, strict=True)
    return torch.cat(lower, dim=1), torch.cat(upper, dim=1)


def row_bounds(before: CurveRelaxations, node: Node, index: Tensor) -> Box:
    """The bounds of chosen numbers of a node by one backward pass, flat indices (B, K) -> two of (B, K)."""
    values = before.values
    network = values.network
    products = [product for product in network.products if network.place[product] <= network.place[node]]
    # between parallel lines rows are not doubled; the bounds of differences that decide a maximum are hardly looser
    line = before.line if decided(network, node) is None else before.parallel
    lines = {curve: line(curve) for curve in (*before.relaxations, *products)}
    zero = torch.zeros(index.shape, dtype=values.x.dtype, device=index.device)
    start = {node: UnitRows(index, None, values.x.dtype)}
    return both(BackwardPass(values, lines, dict(start), zero, two=True).run(node))
