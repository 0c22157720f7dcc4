"""The nearest of several linearised decision boundaries."""

import attrs
import torch
from torch import Tensor

from inradius.ascent import Part
from inradius.threat import expand
from inradius_minimal.reach import reach


@attrs.frozen(eq=False)
class Nearest:
    """The shortest ``step`` (n, *S) to a boundary, its ``distance`` (n,), the lead ``value`` (n,) and its ``gradient`` (n, *S)."""

    step: Tensor
    distance: Tensor
    value: Tensor
    gradient: Tensor

    @classmethod
    def of(cls, part: Part, delta: Tensor, leads: list[tuple[Tensor, Tensor]]) -> "Nearest":
        """That of the classes whose leads at x + δ, with gradients, are given."""
        found = [cls._of_one(part, delta, value, gradient) for value, gradient in leads]
        best = found[0]
        for other in found[1:]:
            best = best._or(other)
        return best

    @classmethod
    def _of_one(cls, part: Part, delta: Tensor, value: Tensor, gradient: Tensor) -> "Nearest":
        step, distance = reach(part.threat, gradient, -value, part.x + delta)
        return cls(step, distance, value, gradient)

    def _or(self, other: "Nearest") -> "Nearest":
        closer = other.distance < self.distance
        wide = expand(closer, self.step)
        return Nearest(
            torch.where(wide, other.step, self.step),
            torch.where(closer, other.distance, self.distance),
            torch.where(closer, other.value, self.value),
            torch.where(wide, other.gradient, self.gradient),
        )
