"""The highest of several certifiers' bounds."""

import attrs
import torch
from torch import Tensor

from inradius import Bounds, Property
from inradius.certifiers.certificate import CLAIMS


@attrs.define(eq=False)
class HighestBounds:
    """The highest bound of each row so far, (B, K), its level, and the bounds that it comes from, one after the other.

    proved (B,): examples that some bounds call proved; they keep the rows of these bounds. witness (B, *S): the perturbations
    that violate the property, NaN for examples without one; None where there are none.
    """

    value: Tensor
    level: Tensor
    proved: Tensor
    witness: Tensor | None = None
    parts: list[tuple[Tensor, Bounds]] = attrs.field(factory=list)

    @classmethod
    def of(cls, like: Tensor) -> "HighestBounds":
        """The start without any bound, for rows like (B, K)."""
        level = torch.zeros_like(like, dtype=torch.int64)
        return cls(torch.full_like(like, -torch.inf), level, torch.zeros_like(level[:, 0], dtype=torch.bool))

    def take(self, index: Tensor, bounds: Bounds) -> None:
        """Adds the bounds of the examples at ``index``."""
        # a bound that is NaN or infinite proves nothing
        found = bounds.value.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
        levels = torch.tensor([[CLAIMS.index(claim)] for claim in bounds.claims], device=index.device)
        proved = _proved(bounds)
        # a proof by several rows together rests on its own rows alone
        better = (found.detach() > self.value[index].detach()) | proved[:, None]
        self.level[index] = torch.where(better, levels, self.level[index])
        self.value = self.value.index_put((index,), torch.where(better, found, self.value[index]))
        self.proved[index] |= proved
        self.parts.append((index, bounds))
        if bounds.witness is not None:
            none = bounds.witness.new_full((len(self.value), *bounds.witness.shape[1:]), torch.nan)
            known = none if self.witness is None else self.witness
            witness = torch.where(known[index].isnan(), bounds.witness, known[index])
            self.witness = known.index_put((index,), witness)

    def bounds(self) -> Bounds:
        """All bounds as one. The claim of an example is the weakest of the claims that its rows come from."""
        costs = [bounds.float_cost for _, bounds in self.parts if bounds.float_cost is not None]
        return Bounds(
            self.value,
            # the best of several bounds may be wrong where any of them is wrong
            failure_probability=min(1.0, sum(bounds.failure_probability for _, bounds in self.parts)),
            exact=len(self.parts) == 1 and self.parts[0][1].exact,
            error=self._error,
            claim=tuple(CLAIMS[place] for place in self.level.amax(1).tolist()),
            float_cost=self._float_cost if costs else None,
            witness=self.witness,
            proved=self.proved if bool(self.proved.any()) else None,
        )

    def undecided(self, prop: Property) -> Tensor:
        """True for the examples without a proof of the property and without a witness against it, (B,)."""
        decided = prop.holds(self.safe > 0) | self.proved
        if self.witness is not None:
            decided |= ~self.witness.flatten(1).isnan().any(1)
        return ~decided

    @property
    def safe(self) -> Tensor:
        """The bounds less their errors, (B, K)."""
        return self.value.detach() - self._error()

    def _error(self) -> Tensor:
        """The largest rounding error among the bounds of each row, (B, K)."""
        error = torch.zeros_like(self.value).detach()
        for index, bounds in self.parts:
            found = error_of(bounds).to(error)
            error[index] = torch.where(_proved(bounds)[:, None], found, torch.maximum(error[index], found))
        return error

    def _float_cost(self) -> Tensor:
        """The most by which each row may be higher where some of its bounds need not hold at level "float", (B, K)."""
        reach = torch.full_like(self.value, -torch.inf).detach()
        for index, bounds in self.parts:
            cost = bounds.float_cost() if callable(bounds.float_cost) else bounds.float_cost
            if cost is not None:
                found = bounds.value.detach() + error_of(bounds) + cost.detach()
                known = found.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
                reach[index] = torch.maximum(reach[index], known.to(reach))
        # a row without bounds, and without a cost, has no difference
        gained = reach - self.value.detach() - self._error()
        return gained.nan_to_num(nan=0.0, posinf=torch.inf).clamp(min=0)


def _proved(bounds: Bounds) -> Tensor:
    """True for the examples that the bounds call proved, (n,)."""
    if bounds.proved is None:
        return torch.zeros(len(bounds.value), dtype=torch.bool, device=bounds.value.device)
    return bounds.proved.detach()


def error_of(bounds: Bounds) -> Tensor:
    """The rounding error of some bounds, (B, K)."""
    found = bounds.error() if callable(bounds.error) else bounds.error
    if found is None:
        # the interface assumes this error for a certifier that does not track rounding
        found = (1 + bounds.value.detach().abs()) * float(torch.finfo(bounds.value.dtype).eps) ** 0.5
    return found.detach()
