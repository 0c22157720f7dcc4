"""The ends of a backward pass: bounds of linear functions of the input over Δ(x), and of curves over their boxes."""

from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.rows.addition import LinearFunctions
from inradius_bounds.backward.rows.dot import dot, dot_terms
from inradius_bounds.box import Box
from inradius_bounds.detached import detached
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import ROOM, gamma, tiny, unit


@attrs.frozen(eq=False)
class ClosedRows:
    """Lower bounds (B, K), with the most that rounding may have added to them.

    error: the rounding of the computation of bounds; execution: that of an execution of the model; each (B, K), or None where
    it is not bounded.
    """

    value: Tensor
    error: Tensor | None
    execution: Tensor | None

    @property
    def owed(self) -> Tensor:
        """The sum of ``error`` and ``execution``, (B, K); an error that is not bounded (None) counts as 0."""
        parts = [part for part in (self.error, self.execution) if part is not None]
        return sum(parts, torch.zeros_like(detached(self.value)))

    @classmethod
    def joined(cls, parts: Sequence["ClosedRows"], dim: int = 0) -> "ClosedRows":
        """The bounds of several parts, of the examples (``dim`` 0) or of the rows (1)."""

        def side(several: list[Tensor | None]) -> Tensor | None:
            kept = [each for each in several if each is not None]
            return torch.cat(kept, dim) if len(kept) == len(parts) else None

        value = torch.cat([part.value for part in parts], dim)
        return cls(value, side([part.error for part in parts]), side([part.execution for part in parts]))

    def chunks(self, count: int) -> list["ClosedRows"]:
        """The bounds of equally many rows each, in order."""

        def side(part: Tensor | None) -> Sequence[Tensor | None]:
            return [None] * count if part is None else part.chunk(count, dim=1)

        return [
            ClosedRows(*parts)
            for parts in zip(self.value.chunk(count, dim=1), side(self.error), side(self.execution), strict=True)
        ]

    def replaced(self, example: int, row: int, other: "ClosedRows") -> "ClosedRows":
        """The bounds with one of them taken from ``other``, (1, 1), where that bound proves more."""
        if float(detached(other.safe)) <= float(self.safe[example, row].detach()):
            return self
        place = (torch.tensor(example), torch.tensor(row))
        return self.combined(other, lambda mine, its: mine.index_put(place, its[0, 0]))

    def combined(self, other: "ClosedRows", combine: Callable[[Tensor, Tensor], Tensor]) -> "ClosedRows":
        """The bounds and each of their errors combined with those of ``other``; an error that either lacks is None."""

        def both_sides(mine: Tensor | None, its: Tensor | None) -> Tensor | None:
            return None if mine is None or its is None else combine(mine, its)

        error, execution = both_sides(self.error, other.error), both_sides(self.execution, other.execution)
        return ClosedRows(combine(self.value, other.value), error, execution)

    @property
    def safe(self) -> Tensor:
        """The bounds minus all rounding errors, (B, K)."""
        found = self.value if self.error is None else torch.sub(self.value, self.error, alpha=ROOM)
        return found if self.execution is None else found - self.execution

    @property
    def proved(self) -> Tensor:
        """``safe`` without gradients, (B, K), and −∞ where it is NaN or infinite, which proves nothing."""
        return _finite(self.safe)

    @property
    def proved_real(self) -> Tensor:
        """``proved`` at level "real", where the rounding of the model's execution does not count, (B, K)."""
        return _finite(self.value if self.error is None else self.value - ROOM * self.error)


def _finite(value: Tensor) -> Tensor:
    return detached(value).nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)


@attrs.frozen(eq=False)
class RowRange:
    """The lower and the upper bounds of rows over a node's numbers, (B, K) each, and their error.

    error: the most by which rounding may have moved either bound, (B, K); None where rounding is not bounded.
    """

    low: Tensor
    high: Tensor
    error: Tensor | None


def lower(ended: BackwardPass, *, cheap: bool = False) -> ClosedRows:
    """Lower bounds of the rows of a pass. ``cheap`` uses the cheaper bound that a set's support may have."""
    values = ended.values
    value, owed = ended.constant - ended.radius, ended.owed
    for node, function in ended.pending.items():
        by_support = node is values.end and values.sides is None
        found = _below(values, function, cheap) if by_support else _over(values, node, function)
        value = value + found.low
        if owed is not None and found.error is not None:
            size = detached(value).abs() + detached(found.low).abs()
            owed = torch.add(owed, torch.add(found.error, size, alpha=4 * unit(value.dtype)), alpha=ROOM)
    return ClosedRows(value, None if owed is None else detached(owed), ended.execution)


def both(ended: BackwardPass) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds of the rows of a two-sided pass, widened by their rounding errors, two of (B, K)."""
    values = ended.values
    if ended.doubled:
        found = lower(ended, cheap=True)
        least, negated = found.safe.chunk(2, dim=1)
        values.note(found.owed.chunk(2, dim=1)[0], -negated - least)
        return least, -negated
    center, low, high = ended.constant, torch.zeros_like(ended.constant), torch.zeros_like(ended.constant)
    owed = ended.owed
    for node, function in ended.pending.items():
        ends = _spanned(values, function) if values.sides is None else _over(values, node, function)
        low, high = ends.low, ends.high
        if owed is not None and ends.error is not None:
            size = center.abs() + torch.maximum(low.abs(), high.abs()) + ended.radius
            owed = torch.add(owed, torch.add(ends.error, detached(size), alpha=4 * unit(center.dtype)), alpha=ROOM)
    room = ended.radius if owed is None else torch.add(ended.radius, detached(owed), alpha=ROOM)
    room = room if ended.execution is None else room + ended.execution
    values.note(room - ended.radius, 2 * room + high - low)
    return center - room + low, center + room + high


def _over(values: ValueBounds, node: Node, function: LinearFunctions) -> RowRange:
    """Lower and upper bounds of K linear functions of a node's value minus its reference, over the node's box, (B, K) each."""
    middle, half = _sides(values, node)
    sizes = function.sizes()
    around = sizes.over(half)
    # 0 times what is not finite is NaN, as the product of infinite rows with a middle of 0 is
    center = 0 * around if node is values.end and values.centred else function.over(middle)
    if values.errors is None:
        return RowRange(center - around, center + around, None)
    terms = dot_terms(node.stored) + 8
    small = node.stored.numel() * tiny(half.dtype)
    if node is values.end and values.about is not None:
        # the reference lies in the box, so |middle| is at most half
        size = 2 * detached(around)
    else:
        size = detached(around) + detached(sizes.over(values.errors.deviations.distance(node)))
    return RowRange(center - around, center + around, gamma(terms, half.dtype) * size + 2 * small)


def _sides(values: ValueBounds, node: Node) -> Box:
    """The middle and the half width of the box of a node's value minus its reference, two of (B, *shape)."""
    if node is values.end:
        assert values.sides is not None
        return values.sides
    low, high = values.around(node)
    half = (high - low) / 2
    # underflow may take a half
    return (low + high) / 2, half if values.errors is None else half + 2 * tiny(half.dtype)


def _below(values: ValueBounds, function: LinearFunctions, cheap: bool) -> RowRange:
    """Lower bounds of the rows over Δ(x) from the set's support function, (B, K); ``high`` equals ``low``."""
    entry = values.network.entry
    rows = function.dense(entry.stored).rows
    support = values.threat.support_bound if cheap else values.threat.support
    around = support(-rows, values.x)
    least = -around if values.about is not None else dot(rows, values.x) - around
    return RowRange(least, least, _rounding(values, rows, detached(around).abs()))


def _spanned(values: ValueBounds, function: LinearFunctions) -> RowRange:
    """Lower and upper bounds of the rows over Δ(x) from ``threat.span``, which bounds ⟨row, δ⟩, (B, K) each.

    Without references, ⟨row, x⟩ is added to both.
    """
    rows = function.dense(values.network.entry.stored).rows
    low, high = values.threat.span(rows, values.x)
    error = _rounding(values, rows, torch.maximum(low.abs(), high.abs()))
    if values.about is None:
        center = dot(rows, values.x)
        low, high = low + center, high + center
    return RowRange(low, high, error)


def _rounding(values: ValueBounds, rows: Tensor, size: Tensor) -> Tensor | None:
    """The error of the products of rows with the input and of their sum, beside the set's own answers, (B, K)."""
    if values.errors is None:
        return None
    dtype = rows.dtype
    last = 4 * unit(dtype) * detached(size)
    if values.errors.rounding.execution is not None:
        # a machine may take small inputs for 0
        last = last + 2 * tiny(values.errors.rounding.execution) * detached(rows).abs().flatten(2).sum(2)
    if values.about is not None:
        # the set's own answer is a bound for the rows as they were computed
        return last
    entry = values.network.entry
    reach = torch.maximum(values.x.abs(), values.errors.magnitudes.reach(entry))
    # products may underflow
    small = 2 * entry.stored.numel() * tiny(dtype)
    return gamma(dot_terms(rows.shape[2:]) + 8, dtype) * dot(detached(rows).abs(), reach) + last + small
