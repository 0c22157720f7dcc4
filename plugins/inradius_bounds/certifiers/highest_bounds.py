"""The highest of several certifiers' bounds."""

import attrs
import torch
from torch import Tensor

from inradius import Bounds
from inradius.certifiers.certificate import CLAIMS


@attrs.define(eq=False)
class HighestBounds:
    """Row by row the highest bound so far, (B, K), and what it rests on: bounds of parts of the examples, one after the other."""

    value: Tensor
    level: Tensor
    parts: list[tuple[Tensor, Bounds]] = attrs.field(factory=list)

    @classmethod
    def of(cls, like: Tensor) -> "HighestBounds":
        """Nothing so far, for rows like (B, K)."""
        return cls(torch.full_like(like, -torch.inf), torch.zeros_like(like, dtype=torch.int64))

    def take(self, index: Tensor, bounds: Bounds) -> None:
        """Adds the bounds of the examples at ``index``."""
        found = bounds.value.nan_to_num(nan=-torch.inf)
        levels = torch.tensor([[CLAIMS.index(claim)] for claim in bounds.claims], device=index.device)
        better = found.detach() > self.value[index].detach()
        self.level[index] = torch.where(better, levels, self.level[index])
        self.value = self.value.index_put((index,), torch.maximum(self.value[index], found))
        self.parts.append((index, bounds))

    def bounds(self) -> Bounds:
        """All of it: the claim of an example is the weakest of those that its rows rest on."""
        costs = [bounds.float_cost for _, bounds in self.parts if bounds.float_cost is not None]
        return Bounds(
            self.value,
            # the best of several bounds is wrong where one of them is
            failure_probability=min(1.0, sum(bounds.failure_probability for _, bounds in self.parts)),
            exact=len(self.parts) == 1 and self.parts[0][1].exact,
            error=self._error,
            claim=tuple(CLAIMS[place] for place in self.level.amax(1).tolist()),
            float_cost=self._float_cost if costs else None,
        )

    @property
    def safe(self) -> Tensor:
        """The bounds less their errors, (B, K)."""
        return self.value.detach() - self._error()

    def _error(self) -> Tensor:
        """For each row the largest rounding error of the bounds that it has."""
        error = torch.zeros_like(self.value).detach()
        for index, bounds in self.parts:
            error[index] = torch.maximum(error[index], error_of(bounds).to(error))
        return error

    def _float_cost(self) -> Tensor:
        """For each row how much higher it may be where some of its bounds need not hold at level "float"."""
        reach = torch.full_like(self.value, -torch.inf).detach()
        for index, bounds in self.parts:
            cost = bounds.float_cost() if callable(bounds.float_cost) else bounds.float_cost
            if cost is not None:
                found = bounds.value.detach() + error_of(bounds) + cost.detach()
                reach[index] = torch.maximum(reach[index], found.nan_to_num(nan=torch.inf).to(reach))
        return (reach - self.value.detach() - self._error()).clamp(min=0)


def error_of(bounds: Bounds) -> Tensor:
    """The rounding error of some bounds, (B, K)."""
    found = bounds.error() if callable(bounds.error) else bounds.error
    if found is None:
        # what the interface assumes of a certifier that does not track rounding
        found = (1 + bounds.value.detach().abs()) * float(torch.finfo(bounds.value.dtype).eps) ** 0.5
    return found.detach()
