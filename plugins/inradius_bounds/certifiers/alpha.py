"""The certifier ``alpha``: the backward pass with slopes found by ascent."""

from typing import Literal, get_args

import attrs
from attrs.validators import in_
from torch import Tensor

from inradius import Property
from inradius.components.validators import count, flag
from inradius_bounds.backward.domain import within_domain
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.backward.optimised_inner_bounds import tightened
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.backward.property_bounds import highest
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.slope_ascent import StartRows, ascended
from inradius_bounds.backward.tangent_lines import numbers_of_share
from inradius_bounds.certifiers.crown import closed
from inradius_bounds.certifiers.propagation import PropagationCertifier, memory_field
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area

Layers = Literal["final", "all"]


@attrs.frozen(kw_only=True)
class Alpha(PropagationCertifier):
    """Bounds the margins as ``crown`` does, with maxima by pairs, and finds better slopes for the examples that this leaves open.

    Every line between the first and the last line below a neuron is sound. ``steps`` of ascent give each margin of an open
    example slopes of its own, over the bounds of inner layers that ``crown`` has. With one hidden layer the maximum is the
    optimum of the LP relaxation. With ``layers="all"`` the examples that are still open get bounds of inner layers in the same
    way, undecided neuron by undecided neuron, and then their margins once more. An example is done as soon as it is certified.
    With ``keep_maximising`` every example takes every step. ``memory`` is the number of megabytes that rows may take; by
    default a quarter of the free memory. Source: xu2021.
    """

    # Xu et al. 2021 take 20 steps; then the remaining gap to the LP is below a hundredth
    steps: int = attrs.field(default=20, validator=count)
    layers: Layers = attrs.field(default="final", validator=in_(get_args(Layers)))
    keep_maximising: bool = attrs.field(default=False, validator=flag)
    memory: float | None = memory_field()

    def numbers_of_row(self, values: ValueBounds) -> int:
        # an ascent keeps a share for each number that meets a curve
        curves = values.network.curves
        return sum(node.stored.numel() * numbers_of_share(node.required_operator) for node in curves)

    def closed_rows(self, values: ValueBounds, prop: Property) -> ClosedRows:
        found = relax_curves(values, relax=smallest_area)
        best = closed(found, prop)
        if values.network.curves:
            best = self._raised(values, prop, best)
            if self.layers == "all":
                best = self._with_all(values, prop, best)
        return best

    @property
    def _goal(self) -> float:
        return float("inf") if self.keep_maximising else 0.0

    def _open(self, found: ClosedRows) -> Tensor:
        """The examples with a row that is not proved, as indices."""
        return (found.safe.detach() <= self._goal).any(1).nonzero().squeeze(1)

    def _raised(self, values: ValueBounds, prop: Property, best: ClosedRows) -> ClosedRows:
        """The bounds, where the rows of open examples are raised by slopes of their own."""
        index = self._open(best)
        if not len(index):
            return best
        part, node = prop.select(index), values.network.result
        rows = DenseRows(part.weights.reshape(*part.offsets.shape, *node.stored))
        some = values.select(index)
        found = within_domain(some, ascended(some, StartRows(node, rows, part.offsets), self.steps, goal=self._goal))
        return _merged(best, index, found)

    def _with_all(self, values: ValueBounds, prop: Property, best: ClosedRows) -> ClosedRows:
        """The bounds, where open examples are raised over tighter bounds of inner layers."""
        index = self._open(best)
        if not len(index) or all(node.sources[0] in values.network.affine_nodes for node in values.network.curves):
            return best
        chosen, part = values.select(index), prop.select(index)
        tighter = tightened(chosen, self.steps)
        found = self._raised(tighter.values, part, closed(tighter, part))
        return _merged(best, index, found)


def _merged(best: ClosedRows, index: Tensor, found: ClosedRows) -> ClosedRows:
    """The bounds, where those of the examples at ``index`` are replaced by higher ones."""
    return highest([best, best.combined(found, lambda mine, its: mine.index_put((index,), its))])
