"""The bounds that a certificate has so far, merged from several passes and several sets."""

from collections.abc import Sequence
from functools import reduce

import attrs
import torch
from torch import Tensor

from inradius.certifiers.certificate import Bounds, weakest
from inradius.outcomes.property import Property


@attrs.frozen(eq=False)
class BoundsSoFar:
    """The bounds of a batch so far: lower and error (B, K), bits (B,), and one claim for each example.

    reach (B, K) is the highest that each bound may become without the rounding of the model's own execution. witness (B, *S) has a
    perturbation for each example that the certifier found to refute the property, NaN for the others; None where there are none.
    proved (B,) is true for examples that are proved whatever the bounds of their rows are.
    """

    lower: Tensor
    error: Tensor
    bits: Tensor
    claim: tuple[str, ...]
    failure_probability: float
    reach: Tensor
    proved: Tensor
    witness: Tensor | None = None

    @classmethod
    def of(cls, bounds: Bounds, dtype: torch.dtype, prop: Property) -> "BoundsSoFar":
        """The bounds that a certifier returned after it computed in ``dtype``."""
        # a bound that is NaN or infinite proves nothing
        lower = bounds.value.detach().nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
        error = bounds.error() if callable(bounds.error) else bounds.error
        error = (
            _assumed_error(lower)
            if error is None
            else error.detach().to(lower).nan_to_num(nan=torch.inf, posinf=torch.inf)
        )
        bits = torch.full((len(lower),), torch.finfo(dtype).bits, device=lower.device)
        reach = torch.full_like(lower, torch.inf)
        witness = None if bounds.witness is None else bounds.witness.detach()
        proved = (
            torch.zeros_like(bits, dtype=torch.bool)
            if bounds.proved is None
            else bounds.proved.detach().to(bits.device)
        )
        found = cls(lower, error, bits, bounds.claims, bounds.failure_probability, reach, proved, witness)
        # the cost of bounds that are proved already decides nothing, and may be slow to compute
        if bounds.float_cost is not None and bool(found.certified(prop).all()):
            return found
        return attrs.evolve(found, reach=_reach(found, bounds))

    def certified(self, prop: Property) -> Tensor:
        """A mask of the examples that are proved, (B,)."""
        return prop.holds(self.lower > self.error) | self.proved

    def open_rows(self, prop: Property) -> Tensor:
        """The examples whose bounds are within their rounding error of 0, as indices."""
        return (prop.holds(self.lower >= -self.error) & ~self.certified(prop)).nonzero().squeeze(1)

    def rounded_rows(self, prop: Property) -> Tensor:
        """The examples that are not proved, and might be proved without the rounding of the model's own execution, as indices."""
        return (prop.holds(self.reach > 0) & ~self.certified(prop)).nonzero().squeeze(1)

    def select(self, rows: Tensor) -> "BoundsSoFar":
        """The bounds of the chosen examples."""
        claims = tuple(self.claim[row] for row in rows.tolist())
        lower, error, bits, reach = (side[rows] for side in (self.lower, self.error, self.bits, self.reach))
        witness = None if self.witness is None else self.witness[rows]
        return BoundsSoFar(lower, error, bits, claims, self.failure_probability, reach, self.proved[rows], witness)

    def replace(self, rows: Tensor, other: "BoundsSoFar") -> "BoundsSoFar":
        """The bounds with those of the examples at ``rows`` taken from ``other``, in its precision."""
        lower = self.lower.to(other.lower.dtype).index_put((rows,), other.lower)
        error = self.error.to(other.error.dtype).index_put((rows,), other.error)
        reach = self.reach.to(other.reach.dtype).index_put((rows,), other.reach)
        claims = list(self.claim)
        for row, claim in zip(rows.tolist(), other.claim, strict=True):
            claims[row] = claim
        failure = max(self.failure_probability, other.failure_probability)
        bits, witness = self.bits.index_put((rows,), other.bits), _with_witnesses(self, rows, other)
        proved = self.proved.index_put((rows,), other.proved)
        return BoundsSoFar(lower, error, bits, tuple(claims), failure, reach, proved, witness)

    @classmethod
    def over(cls, several: Sequence["BoundsSoFar"], prop: Property) -> "BoundsSoFar":
        """The bounds that hold over all of several sets. An example that is proved over each set is proved."""
        if len(several) == 1:
            return several[0]
        wide = reduce(torch.promote_types, (found.lower.dtype for found in several))
        lower = torch.stack([found.lower.to(wide) for found in several])
        error = torch.stack([found.error.to(wide) for found in several])
        least = lower.amin(0)
        return cls(
            least,
            _left(lower, error, least).amax(0),
            torch.stack([found.bits for found in several]).amin(0),
            tuple(weakest(levels) for levels in zip(*(found.claim for found in several), strict=True)),
            min(1.0, sum(found.failure_probability for found in several)),
            torch.stack([found.reach.to(wide) for found in several]).amin(0),
            torch.stack([found.certified(prop) for found in several]).all(0),
            _any_witness([found.witness for found in several if found.witness is not None]),
        )


def _any_witness(several: Sequence[Tensor]) -> Tensor | None:
    """The first witness that each example has, (B, *S); None where there are none."""
    return reduce(lambda one, other: torch.where(one.isnan(), other, one), several) if several else None


def _with_witnesses(found: BoundsSoFar, rows: Tensor, other: BoundsSoFar) -> Tensor | None:
    """The witnesses of ``found``, and at ``rows`` those of ``other`` where it has one."""
    if other.witness is None:
        return found.witness
    none = other.witness.new_full((len(found.lower), *other.witness.shape[1:]), torch.nan)
    return _any_witness([none.index_put((rows,), other.witness), none if found.witness is None else found.witness])


def _reach(found: BoundsSoFar, bounds: Bounds) -> Tensor:
    """The highest that each bound may become without the cost of level "float", (B, K)."""
    cost = bounds.float_cost() if callable(bounds.float_cost) else bounds.float_cost
    if cost is None:
        # level "float" had no cost, so a row that is not proved stays unproved
        return torch.where(found.lower > found.error, torch.inf, -torch.inf).to(found.lower)
    cost = cost.detach().to(found.lower).nan_to_num(nan=torch.inf, posinf=torch.inf)
    # rounded up, so that the bound without the cost is reached
    slack = 4 * torch.finfo(found.lower.dtype).eps * (found.lower.abs() + found.error + cost)
    return torch.where(cost.isposinf(), torch.inf, found.lower + found.error + cost + slack)


def _left(lower: Tensor, error: Tensor, least: Tensor) -> Tensor:
    """The members' errors relative to the lowest bound, (members, B, K). The distance of a bound from it is no error."""
    room = torch.where(least.isfinite(), lower - least, 0.0)
    # rounded up, so that a row ends above its error only where it is above in each member
    slack = 4 * torch.finfo(error.dtype).eps * (error + room)
    return torch.where(room > 0, (error - room + slack).clamp(min=0), error)


def _assumed_error(lower: Tensor) -> Tensor:
    """√ε of the bound's size, (B, K), for certifiers that do not track rounding: half of the digits are trusted."""
    trusted: float = torch.finfo(lower.dtype).eps ** 0.5
    return (1 + lower.abs().nan_to_num(posinf=0)) * trusted
