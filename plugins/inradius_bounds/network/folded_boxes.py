"""Boxes of affine steps whose rounding errors are part of them from the start, so that no third product counts the errors.

The box of z -> W z + b over a box with middle c and half width h, of numbers no larger than m, is

    W c + b ± (|W| (h + g m) + g |b| + t),

where g is γ of the roundings of a number and t bounds what underflow takes. A sum of n rounded products with W is wrong by at
most γₙ (|W| |c| + |b|), and one with |W| by at most the share γₙ of its own, so |W| g m + g |b| covers both; a few more roundings
in g cover those of c, h and the two ends. The error of the model's execution, γₙ (|W| m + |b|) in its own type, is added to g and
t.
"""

import attrs
import torch
from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.execution_errors import ExecutionErrors
from inradius_bounds.network.magnitudes import counts, total
from inradius_bounds.network.network import mixes
from inradius_bounds.rounding import gamma, tiny, unit
from inradius_bounds.rules.activations.relu import ReLURule
from inradius_bounds.steps.join import Added
from inradius_bounds.steps.weighted import WeightedRule, WeightedStep

# the roundings beside those of the products: of the middle, the half width, and the ends
_MORE = 16
# where relative errors are larger, or numbers larger than this share of the largest one, boxes are bounded by sizes
_LARGE, _FAR = 0.1, 1 / 16


@attrs.frozen(eq=False)
class FoldedBox:
    """A box with its rounding error, and the share of that error in the width of its input's box, (B,); None for no share."""

    box: Box
    share: Tensor | None = None


@attrs.frozen(eq=False)
class FoldedBoxes:
    """The boxes of weighted steps and of sums of two values, over boxes of their sources."""

    executions: ExecutionErrors

    def of(self, node: Node, boxes: list[Box]) -> FoldedBox | None:
        """The box of an affine node, execution included; None for other steps, and where numbers may overflow."""
        op = node.operator
        if op is not None and isinstance(op.rule, WeightedRule) and isinstance(op.module, WeightedStep):
            return self._weighted(node, op.rule, op.module, boxes[0])
        return _summed(*node.interval(*boxes)) if self._sums(node) else None

    def near(self, node: Node) -> bool:
        """True if the box of a node never needs the sizes of numbers that are earlier than its sources."""
        if node.bends or node.extreme is not None or mixes(node) or self._sums(node):
            return True
        return all(source.bends or not source.sources for source in node.sources)

    def _sums(self, node: Node) -> bool:
        """True for a plain sum or difference of two values, whose execution does not count."""
        join = node.join
        if not isinstance(join, Added) or self.executions.run is not None:
            return False
        return len(join.factors) == 2 and all(abs(factor) == 1 for factor in join.factors)

    def _weighted(self, node: Node, rule: WeightedRule, step: WeightedStep, box: Box) -> FoldedBox | None:
        op, (forth, _), dtype = node.required_operator, counts(node), box[0].dtype
        own = gamma(forth + _MORE, dtype)
        if own > _LARGE:
            return None
        center = torch.lerp(*box, 0.5)
        size, half = _size(node.sources[0], center, box[1])
        numbers, width = total(size), total(half)
        run = self.executions.of_step(node, step, numbers)
        least, largest, bias = step.extent
        # weights that were computed may have lost as much
        loss = run.loss + (tiny(dtype) if least < 2 * tiny(dtype) else 0.0) * numbers
        if not bool((largest * numbers + bias + loss < _FAR * float(torch.finfo(dtype).max)).all()):
            return None
        g, most = ((own + each) * (1 + own) / (1 - 2 * own) for each in (run.share, run.most))
        fixed = most * step.bias_sizes + (8 * forth + 32) * tiny(dtype) * (1 + largest)
        spread = rule.spread(op, (size * g).add_(half), fixed)
        if bool((loss > 0).any()):
            spread = spread.add_(loss.view(-1, *(1,) * len(node.stored)))
        middle = op(center)
        error = (g.flatten() if isinstance(g, Tensor) else g) * numbers
        return FoldedBox((middle - spread, middle.add_(spread)), (error / (error + 2 * width)).nan_to_num(nan=1.0))


def _size(source: Node, center: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds on the sizes of a source's numbers, and on their distances from the middles of their boxes, (B, *shape) each."""
    half = high - center
    rule = None if source.operator is None else source.operator.rule
    return high if isinstance(rule, ReLURule) else center.abs().add_(half), half


def _summed(low: Tensor, high: Tensor) -> FoldedBox:
    """A box whose ends were each rounded once. An end that overflowed becomes NaN."""
    # one unit for the sum, one for this step, and one for what both are off
    for end, sign in ((low, -3.0), (high, 3.0)):
        end.add_(end.abs().add_(tiny(end.dtype) / unit(end.dtype)), alpha=sign * unit(end.dtype))
    return FoldedBox((low, high))
