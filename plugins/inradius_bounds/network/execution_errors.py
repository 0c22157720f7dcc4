"""Bounds on the rounding errors of the model's own execution, node by node."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node
from inradius_bounds.network.magnitudes import Magnitudes, counts
from inradius_bounds.network.partial_sums import partial_sums
from inradius_bounds.rounding import ROOM, gamma, gammas, tiny, unit
from inradius_bounds.steps.sums import Means, Sum
from inradius_bounds.steps.weighted import WeightedStep


@attrs.frozen(eq=False)
class StepError:
    """The error of one step's execution: ``share`` times its size |W| m + |b|, and ``loss``.

    share: for each example (B, 1, ...), or one number for all. most: a bound on it, which no example changes. loss: what underflow
    takes (B,); infinite where numbers may overflow.
    """

    share: Tensor | float
    most: float
    loss: Tensor


@attrs.define(eq=False)
class ExecutionErrors:
    """For each node, a bound on the error of its own step in any execution of the model in the type ``run``.

    ``run`` is None for bounds of the exact function. Then every answer is None.
    """

    magnitudes: Magnitudes
    run: torch.dtype | None
    _affine: dict[Node, Tensor | None] = attrs.field(factory=dict)

    def affine(self, node: Node) -> Tensor | None:
        """The error of an affine node's execution, (B, *shape); infinite where its numbers may overflow."""
        if node not in self._affine:
            self._affine[node] = None if self.run is None else self._executed(node, self.run)
        return self._affine[node]

    def exact(self, node: Node) -> bool:
        """True if a curve's execution has no error, or there is none."""
        return self.run is None or node.required_operator.rule.ulps(node.required_operator) == 0

    def curve(self, node: Node, size: Tensor) -> Tensor | None:
        """The error of a curve's execution, (B, *shape), for exact values no larger than ``size``.

        It is infinite where the rule states no number of units in the last place, or where the numbers may overflow.
        """
        if self.run is None:
            return None
        op = node.required_operator
        ulps = op.rule.ulps(op)
        if ulps == 0:
            return torch.zeros_like(size)
        error = (torch.inf if ulps is None else 2 * ulps * unit(self.run) * ROOM) * size + tiny(self.run)
        return _kept(error, size, self.run)

    def product(self, node: Node) -> Tensor | None:
        """The error of a product's execution, (B, *shape); infinite where its numbers may overflow."""
        if self.run is None:
            return None
        if node.product is not None and node.product.exact:
            return torch.zeros_like(self.magnitudes.size(node))
        size = node.magnitude(*(self.magnitudes.reach(source) for source in node.sources))
        terms, _ = counts(node)
        error = relative_error(node, terms, 1, self.run) * size + (terms + 2) * tiny(self.run)
        # a machine may take factors for 0
        return _kept(ROOM * error + tiny(self.run) * self.magnitudes.inputs(node), size, self.run)

    def of_step(self, node: Node, step: WeightedStep, numbers: Tensor) -> StepError:
        """The error of a step with weights, for inputs whose sizes add up to no more than ``numbers`` (B,); 0 for no execution."""
        run, (forth, _), inside = self.run, counts(node), step.inside
        if run is None:
            return StepError(0.0, 0.0, torch.zeros_like(numbers))
        _, largest, bias = step.extent
        size, way, peak = largest * numbers + bias, largest * numbers + bias, 1.0
        if inside is not None:
            # the largest number of each constant in place of all
            peak, before = float(inside.peak.value.detach().max()), step if inside.before is None else inside.before
            middle = 0.0 if inside.middle is None else float(inside.middle.value.detach().max())
            way = peak * (before.extent[1] * numbers + before.extent[2] + middle)
        loss = (forth + 2) * peak * tiny(run) + tiny(run) * (peak * numbers + way)
        share = relative_error(node, self._forth(node, forth), 1, run)
        return StepError(share, gamma(forth + 1, run), _kept(ROOM * loss, torch.maximum(size, way), run))

    def _executed(self, node: Node, run: torch.dtype) -> Tensor:
        size, (forth, _) = self.magnitudes.size(node), counts(node)
        if not node.rounds:
            return torch.zeros_like(size)
        peak, inside = self._inside(node, size)
        terms = self._forth(node, forth)
        share = relative_error(node, terms, 1, run)
        error = self._of_sum(node, terms, share, run) + (forth + 2) * (1 + share) * peak * tiny(run)
        # a machine may take constants and numbers on the way for 0
        error = error + tiny(run) * (peak * self.magnitudes.inputs(node) + inside)
        return _kept(error, torch.maximum(size, inside), run)

    def _of_sum(self, node: Node, terms: Tensor | int, share: Tensor | float, run: torch.dtype) -> Tensor:
        """The error of a sum of rounded products without underflow, (B, *shape); ``share`` is γ of its roundings."""
        size, partial = self.magnitudes.size(node), partial_sums(node, self.magnitudes)
        if partial is None:
            return share * size
        added = terms if isinstance(terms, int) else terms.view(-1, *(1,) * len(node.stored)).to(size)
        # each product is rounded, and each sum of what was computed, which has an error itself
        by_sums = ROOM * unit(run) * (added * partial + (1 + added * share) * size)
        return torch.minimum(share * size, by_sums)

    def _inside(self, node: Node, size: Tensor) -> tuple[Tensor | float, Tensor]:
        """The largest factor that an execution applies to a number that it makes on the way, and a bound on those numbers.

        The numbers are intermediate ones of an affine node's step: they are not among the node's own numbers.
        """
        op = node.operator
        module = None if op is None else op.module
        if isinstance(module, Sum):
            return max(1.0, abs(module.factor)), size / min(1.0, abs(module.factor)) if module.factor else size
        if isinstance(module, Means):
            return 1.0, size * module.terms
        inside = getattr(module, "inside", None)
        if inside is None or op is None:
            return 1.0, size
        before = self.magnitudes.reach(node.sources[0])
        if inside.before is not None:
            before = op.rule.magnitude(attrs.evolve(op, module=inside.before), before)
        middle = 0.0 if inside.middle is None else inside.middle.value
        return inside.peak.value, inside.peak.value * (before + middle)

    def _forth(self, node: Node, forth: int) -> Tensor | int:
        """The most products of non-zero numbers that a number of an affine node adds up: for each example (B,), or for all."""
        op = node.operator
        if op is None:
            return forth
        some = self.magnitudes.reach(node.sources[0]) > 0
        found = op.rule.terms_of(op, some)
        return forth if found is None else found.clamp(max=forth)


def relative_error(node: Node, terms: Tensor | int, more: int, dtype: torch.dtype) -> Tensor | float:
    """γ of ``terms`` + ``more`` roundings at a node: a number, or (B, 1, ...) where each example has its own ``terms`` (B,)."""
    if isinstance(terms, int):
        return gamma(terms + more, dtype)
    return gammas(terms + more, dtype).view(-1, *(1,) * len(node.stored)).to(dtype)


def _kept(error: Tensor, size: Tensor, dtype: torch.dtype) -> Tensor:
    """The errors, infinite where numbers of this size may overflow."""
    return torch.where(size < float(torch.finfo(dtype).max) / 4, error, torch.inf)
