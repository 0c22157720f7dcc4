"""Ascent on slopes: the line of each undecided number is moved, row by row, to where the bound is higher.

    maximise over s ∈ [0, 1]    the bound of the backward pass with (1 − s) · (first line) + s · (last line) below each curve.

Of smooth curves s chooses the slope of the lines that touch them, between the least and the largest. Every s is sound, so the
search needs no proof. With one hidden layer of ReLUs the bound is concave in s, and its maximum is that of the LP relaxation with
the same inner bounds. Source: xu2021, shi2025.
"""

from collections.abc import Callable, Mapping

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.adam import AdamState
from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.optimised_lines import LineRange, OptimisedLines
from inradius_bounds.backward.pass_ends import ClosedRows, lower
from inradius_bounds.backward.product_planes import planes_of
from inradius_bounds.backward.rows.addition import LinearFunctions
from inradius_bounds.backward.tangent_lines import TangentLines, TangentRange, has_tangents
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds

# the first and the last step, as shares of the way between the two lines
_STEP, _LAST = 0.25, 0.02
# the share of a step for slopes of smooth curves, whose lines fall away faster beside the best one
_TANGENTS = 0.2

Select = Callable[[LinearFunctions, Tensor], LinearFunctions]
Range = LineRange | TangentRange
Lines = OptimisedLines | TangentLines


@attrs.frozen(eq=False)
class StartRows:
    """Rows on a node, (B, K), with their constants (B, K)."""

    node: Node
    function: LinearFunctions
    constant: Tensor

    def select(self, index: Tensor) -> "StartRows":
        """The rows of the chosen examples."""
        return StartRows(self.node, self.function.select(index), self.constant[index])


def never() -> bool:
    """False: an ascent without a limit of time."""
    return False


def ascended(
    values: ValueBounds, start: StartRows, steps: int, *, goal: float = 0.0, over: Callable[[], bool] = never
) -> ClosedRows:
    """Lower bounds of rows, (B, K), with slopes of their own. An example is done once all of its rows are above ``goal``.

    No step begins once ``over`` is true.
    """
    curves = [node for node in values.network.curves if values.network.place[node] < values.network.place[start.node]]
    if start.node.curved:
        curves.append(start.node)
    fans = {node: _range(values, node) for node in curves}
    shares = _search(values.plain, start, {node: _bare(fan) for node, fan in fans.items()}, steps, goal, over)
    lines = {node: _lines(fans[node], share) for node, share in shares.items()}
    return _value(values, start, lines)


def _range(values: ValueBounds, node: Node) -> Range:
    """The lines among which those of a curve are chosen."""
    return (TangentRange if has_tangents(node.required_operator) else LineRange).of(values, node)


def _lines(fan: Range, share: Tensor | None = None) -> Lines:
    return TangentLines(fan, share) if isinstance(fan, TangentRange) else OptimisedLines(fan, share)


def _bare(fan: Range) -> Range:
    if isinstance(fan, TangentRange):
        return fan.bare
    above, first, last = ((side[0].detach(), side[1].detach()) for side in (fan.above, fan.first, fan.last))
    return LineRange(above, first, last, None, None)


def _value(values: ValueBounds, start: StartRows, lines: Mapping[Node, Lines]) -> ClosedRows:
    network = values.network
    products = [node for node in network.products if network.place[node] <= network.place[start.node]]
    known = {**lines, **planes_of(values, products)}
    return lower(BackwardPass(values, known, {start.node: start.function}, start.constant).run(start.node))


def _search(
    values: ValueBounds, start: StartRows, fans: Mapping[Node, Range], steps: int, goal: float, over: Callable[[], bool]
) -> dict[Node, Tensor]:
    """The best shares that ``steps`` steps of ascent find, each row by itself. An example above ``goal`` stops."""
    lines = {node: _lines(fan) for node, fan in fans.items()}
    highest = _value(values, start, lines).value.detach()
    # only curves that the rows meet have shares
    lines = {node: shared for node, shared in lines.items() if shared.share is not None}
    if not lines:
        return {}
    best = {node: shared.share.clone() for node, shared in lines.items() if shared.share is not None}
    paces = {node: _TANGENTS for node, shared in lines.items() if isinstance(shared, TangentLines)}
    run, left = (
        AdamState({node: share.clone() for node, share in best.items()}, paces),
        torch.arange(len(values.x), device=values.x.device),
    )
    highest = torch.full_like(highest, -torch.inf)
    for step in range(steps):
        if over():
            break
        value, gradients = _ascent(values, start, lines, run.shares)
        better = value > highest[left]
        for node, kept in best.items():
            kept[left] = torch.where(_wide(better, kept), run.shares[node], kept[left])
        highest[left] = torch.maximum(highest[left], value)
        going = (highest[left] <= goal).any(1).nonzero().squeeze(1)
        if not len(going):
            break
        if len(going) < len(left):
            values, start, left, run = values.select(going), start.select(going), left[going], run.select(going)
            lines = {node: shared.select(going) for node, shared in lines.items()}
            gradients = {node: each[going] for node, each in gradients.items()}
        run.move(gradients, _STEP * (_LAST / _STEP) ** (step / steps))
    return best


def _ascent(
    values: ValueBounds, start: StartRows, lines: Mapping[Node, Lines], shares: Mapping[Node, Tensor]
) -> tuple[Tensor, dict[Node, Tensor]]:
    """The bound (B, K), and its gradient in the shares of each node."""
    asked = {node: share.detach().requires_grad_() for node, share in shares.items()}
    for node, share in asked.items():
        lines[node].share = share
    with torch.enable_grad():
        value = _value(values, start, lines).value
        found = torch.autograd.grad(value.sum(), list(asked.values()))
    return value.detach(), dict(zip(shares, found, strict=True))


def _wide(rows: Tensor, like: Tensor) -> Tensor:
    """A flag of each row for all of the row's numbers, (B, K) -> broadcast against ``like``: (B, K, ...) or (B, 1, K, ...)."""
    flags = rows if like.shape[1] == rows.shape[1] else rows[:, None]
    return flags.view(*flags.shape, *(1,) * (like.ndim - flags.ndim))
