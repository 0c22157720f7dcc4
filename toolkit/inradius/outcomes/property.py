"""Properties: statements about a model's outputs that are to be proved."""

from typing import Self

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.outcomes.property_rows import Side, asked, check_clauses, check_rows, differences, subsets, two_sides

# the count of numbers that ``weakest`` compares at once
_BLOCK = 1 << 24


def _rows(given: Tensor) -> Tensor:
    """The rows with a batch axis. Anything but a tensor is left to the check."""
    return given[None] if isinstance(given, Tensor) and given.ndim == 2 else given


def _numbers(given: Tensor) -> Tensor:
    return given[None] if isinstance(given, Tensor) and given.ndim == 1 else given


@attrs.frozen(eq=False)
class Property:
    """A statement about f(x + δ): an AND of clauses. A clause holds where at least one of its rows is above 0.

    The rows are weights · f(x + δ) + offsets, with weights (B, K, O) and offsets (B, K). The boolean clauses (M, K) state which
    rows are in which clause. Without them each row is a clause of its own. Weights (K, O) or (1, K, O) with offsets (K,) or (1,
    K) are one property for all inputs. Raises ``InputError`` for tensors of any other form.
    """

    weights: Tensor = attrs.field(converter=_rows)
    offsets: Tensor = attrs.field(converter=_numbers)
    clauses: Tensor | None = None

    def __attrs_post_init__(self) -> None:
        check_rows(self.weights, self.offsets)
        if self.clauses is not None:
            check_clauses(self.clauses, self.offsets.shape[1])

    @classmethod
    def margins(cls, y: Tensor, classes: int, *, dtype: torch.dtype | None = None) -> Self:
        """The property logit[y] − logit[j] > 0 for every j ≠ y in ascending order, K = classes − 1."""
        weights = differences(y, classes, "labels", dtype)
        return cls(weights, weights.new_zeros(weights.shape[:2]))

    @classmethod
    def targeted(cls, goal: Tensor, classes: int, *, dtype: torch.dtype | None = None) -> Self:
        """The property that the class ``goal`` (B,) is not predicted: another logit is larger; one clause of classes − 1 rows."""
        weights = -differences(goal, classes, "goals", dtype)
        together = torch.ones(1, classes - 1, dtype=torch.bool, device=weights.device)
        return cls(weights, weights.new_zeros(weights.shape[:2]), together)

    @classmethod
    def top_k(cls, y: Tensor, classes: int, k: int, *, dtype: torch.dtype | None = None) -> Self:
        """The property that the label (B,) is among the ``k`` largest logits: of any k other classes one has a smaller logit.

        The rows are those of ``margins``. The clauses are the subsets of k rows. Raises ``InputError`` for more than 100,000
        clauses.
        """
        rows = cls.margins(y, classes, dtype=dtype)
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k < classes:
            raise InputError(
                f"k={k!r} is not allowed; allowed is an integer from 1 to {classes - 1}, one less than classes"
            )
        if k == 1:
            return rows
        return cls(rows.weights, rows.offsets, subsets(classes - 1, k).to(rows.weights.device))

    @classmethod
    def ranges(cls, low: Side, high: Side, *, dtype: torch.dtype | None = None) -> Self:
        """The property that every output lies between ``low`` and ``high``, each (O,) for all inputs alike or (B, O).

        An infinite side asks nothing. There is a row for each finite lower side, then one for each finite upper side. The sides
        themselves are outside of the range.
        """
        below, above = two_sides(low, high)
        lows, highs = asked(below, "low"), asked(above, "high")
        if not bool(lows.any() | highs.any()):
            raise InputError("all sides of the ranges are infinite; allowed are ranges with at least one finite side")
        unit = torch.eye(below.shape[1], dtype=below.dtype, device=below.device)
        offsets = torch.cat([-below[:, lows], above[:, highs]], dim=1)
        weights = torch.cat([unit[lows], -unit[highs]]).expand(len(below), -1, -1)
        return cls(weights, offsets).to(dtype or below.dtype)

    def values(self, outputs: Tensor) -> Tensor:
        """The rows at some outputs, (B, O) -> (B, K)."""
        return (self.weights @ outputs[..., None]).squeeze(2) + self.offsets

    def holds(self, above: Tensor) -> Tensor:
        """True where every clause has a row at which ``above`` is true, (B, K) -> (B,)."""
        if self.clauses is None:
            return above.all(1)
        # float32 holds counts of at most K
        return (above.float() @ self.clauses.to(above.device, torch.float32).T > 0).all(1)

    def weakest(self, values: Tensor) -> Tensor:
        """The lowest clause, where a clause is its largest row, (B, K) -> (B,). The property holds where the result is above 0."""
        return weakest_clause(values, self.clauses)

    def expand(self, count: int) -> Self:
        """The property of each of ``count`` inputs. Raises ``InputError`` where it belongs to another number of inputs."""
        if {len(self.weights), len(self.offsets)} - {1, count}:
            raise InputError(
                f"the property is that of {max(len(self.weights), len(self.offsets))} inputs, and {count} were given; "
                "allowed is one for each input, or one for all"
            )
        if len(self.weights) == len(self.offsets) == count:
            return self
        return attrs.evolve(self, weights=self.weights.expand(count, -1, -1), offsets=self.offsets.expand(count, -1))

    def select(self, index: Tensor) -> Self:
        """The properties of the chosen examples. One property for all inputs must be expanded first."""
        return attrs.evolve(self, weights=self.weights[index], offsets=self.offsets[index])

    def move(self, device: torch.device) -> Self:
        """The property on another device."""
        if self.weights.device == device and (self.clauses is None or self.clauses.device == device):
            return self
        clauses = None if self.clauses is None else self.clauses.to(device)
        return attrs.evolve(self, weights=self.weights.to(device), offsets=self.offsets.to(device), clauses=clauses)

    def to(self, dtype: torch.dtype) -> Self:
        """A property in another precision that implies this one. It equals this one where that precision holds the offsets.

        Offsets are rounded down. Raises ``InputError`` where the precision does not hold the weights.
        """
        if self.weights.dtype == dtype:
            return self
        weights = self.weights.to(dtype)
        if torch.promote_types(dtype, self.weights.dtype) != dtype and bool(
            (weights.to(self.weights) != self.weights).any()
        ):
            raise InputError(
                f"the property's weights are {self.weights.dtype}, and {dtype} cannot hold them; allowed are weights that the "
                f"type of the inputs holds, as in weights.to({dtype})"
            )
        return attrs.evolve(self, weights=weights, offsets=_rounded_down(self.offsets, dtype))


def _rounded_down(values: Tensor, dtype: torch.dtype) -> Tensor:
    nearest, limits = values.to(dtype), torch.finfo(dtype)
    if torch.promote_types(dtype, values.dtype) == dtype:
        return nearest
    # two units of the last place below; rounding takes back at most one
    below = (values - values.abs() * limits.eps - limits.tiny).to(dtype)
    return torch.where(nearest.to(values.dtype) > values, below, nearest)


def weakest_clause(values: Tensor, clauses: Tensor | None) -> Tensor:
    """The lowest clause, where a clause is its largest row, (B, K), (M, K) -> (B,); without clauses each row is one."""
    if clauses is None:
        return values.amin(1)
    clauses = clauses.to(values.device)
    parts = torch.split(clauses, max(1, _BLOCK // max(1, values.numel())))
    found = [torch.where(part, values[:, None], -torch.inf).amax(2).amin(1) for part in parts]
    return torch.stack(found).amin(0)
