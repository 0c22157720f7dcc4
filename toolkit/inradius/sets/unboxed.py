"""The oracles of a convex set without the box of valid inputs."""

from typing import Protocol, Self, final

import attrs
import torch
from torch import Tensor

from inradius.sets.intersecting.feasible import tolerance
from inradius.sets.oracles import Oracles
from inradius.sets.tight_convex import TightConvexOracles


class UnboxedMethods(Protocol):
    """The methods by which a ``BoxedSet`` describes its set without the box; shapes are those of the oracles."""

    def project_unboxed(self, delta: Tensor, x: Tensor) -> Tensor: ...

    def linear_max_unboxed(self, c: Tensor, x: Tensor) -> Tensor: ...

    def gauge_unboxed(self, delta: Tensor, x: Tensor) -> Tensor: ...

    def violation_unboxed(self, delta: Tensor, x: Tensor) -> Tensor: ...

    def support_unboxed(self, c: Tensor, x: Tensor) -> Tensor: ...


@final
@attrs.frozen(eq=False)
class Unboxed(TightConvexOracles):
    """K(x) of a ``BoxedSet``, by its methods ``..._unboxed``."""

    whole: UnboxedMethods

    def __str__(self) -> str:
        return f"{self.whole} without its box"

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.whole.project_unboxed(delta, x)

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.whole.linear_max_unboxed(c, x)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        return self.whole.gauge_unboxed(delta, x)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        over = self.whole.violation_unboxed(delta, x)
        # a sum over the example rounds by as much; the search allows no more than its own tolerance in any case
        unit = torch.finfo(x.dtype).eps
        share = min(4 * (x[0].numel() + 2) * unit, 10 * tolerance(x.dtype))
        return over * (over > share * delta.flatten(1).abs().amax(1))

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        around = x.repeat_interleave(c.shape[1], dim=0)
        return self.whole.support_unboxed(c.flatten(0, 1), around).view(c.shape[:2])

    def select(self, index: Tensor) -> Self:
        return self

    def members(self) -> tuple[Oracles, ...]:
        return (self,)
