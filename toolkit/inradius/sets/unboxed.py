"""The oracles of a convex set without the box of valid inputs."""

from typing import TYPE_CHECKING, Self, final

import attrs
import torch
from torch import Tensor

from inradius.sets.intersecting.oracles import tolerance
from inradius.sets.oracles import Oracles

if TYPE_CHECKING:
    from inradius.sets.boxed import BoxedSet


@final
@attrs.frozen(eq=False)
class Unboxed(Oracles):
    """K(x) of a ``BoxedSet``, by its methods ``..._unboxed``."""

    whole: "BoxedSet"

    def __str__(self) -> str:
        return f"{self.whole} without its box"

    @property
    def convex(self) -> bool:
        return True

    @property
    def tight(self) -> bool:
        return True

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
        return over * (over > 10 * tolerance(x.dtype) * delta.flatten(1).abs().amax(1))

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        around = x.repeat_interleave(c.shape[1], dim=0)
        return self.whole.support_unboxed(c.flatten(0, 1), around).view(c.shape[:2])

    def select(self, index: Tensor) -> Self:
        return self

    def members(self) -> tuple[Oracles, ...]:
        return (self,)
