"""The highest of several certifiers' bounds."""

import attrs
import torch
from torch import Tensor

from inradius import Bounds
from inradius.certifiers.certificate import CLAIMS


@attrs.define(eq=False)
class HighestBounds:
    """The highest bound of each row so far, (B, K), its level, and the bounds that it comes from, one after the other."""

    value: Tensor
    level: Tensor
    parts: list[tuple[Tensor, Bounds]] = attrs.field(factory=list)

    @classmethod
    def of(cls, like: Tensor) -> "HighestBounds":
        """The start without any bound, for rows like (B, K)."""
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
        )

    @property
    def safe(self) -> Tensor:
        """The bounds less their errors, (B, K)."""
        return self.value.detach() - self._error()

    def _error(self) -> Tensor:
        """The largest rounding error among the bounds of each row, (B, K)."""
        error = torch.zeros_like(self.value).detach()
        for index, bounds in self.parts:
            error[index] = torch.maximum(error[index], error_of(bounds).to(error))
        return error

    def _float_cost(self) -> Tensor:
        """The most by which each row may be higher where some of its bounds need not hold at level "float", (B, K)."""
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
        # the interface assumes this error for a certifier that does not track rounding
        found = (1 + bounds.value.detach().abs()) * float(torch.finfo(bounds.value.dtype).eps) ** 0.5
    return found.detach()
