"""A box of exact numbers as a network meets it: floating-point inputs within it, and a box around it for proofs."""

from collections.abc import Sequence
from fractions import Fraction

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.sets.region import BoxRegion
from inradius.verification.vnnlib.numbers import neighbours


@attrs.frozen(eq=False)
class Region:
    """The floating-point sides of a box, each (1, *S).

    ``inner`` are the least and the largest numbers of the box in the type of the inputs; a number that lies between two
    neighbours has its lower side above its upper one there. ``outer`` encloses the box. ``x`` is a point near the middle, within
    ``outer``, and within ``inner`` where numbers are.
    """

    inner: tuple[Tensor, Tensor]
    outer: tuple[Tensor, Tensor]
    x: Tensor

    @classmethod
    def of(
        cls, lower: Sequence[Fraction], upper: Sequence[Fraction], shape: Sequence[int], dtype: torch.dtype
    ) -> "Region":
        """The region lower ≤ x ≤ upper of exact numbers. Raises ``InputError`` for sides beyond the range of ``dtype``."""

        (low, least), (most, high) = (
            tuple(side.view(1, *shape) for side in neighbours(ends, dtype)) for ends in (lower, upper)
        )
        inner, outer = (least, most), (low, high)
        if not all(bool(side.isfinite().all()) for side in outer):
            raise InputError(
                f"the bounds of an input are beyond the range of {dtype}; allowed are numbers that it holds"
            )
        # half of each side, as the width may be beyond the range
        middle = low / 2 + high / 2
        x = torch.minimum(torch.maximum(middle, inner[0]), inner[1])
        return cls(inner, outer, torch.minimum(torch.maximum(x, outer[0]), outer[1]))

    @property
    def threat(self) -> BoxRegion:
        """The perturbations of ``x`` for proofs: the box, rounded outward."""
        return BoxRegion.between(*self.outer, self.x)

    @property
    def inhabited(self) -> bool:
        """True where the type of the inputs holds a point of the box."""
        return bool((self.inner[0] <= self.inner[1]).all())

    def inside(self, points: Tensor) -> Tensor:
        """The nearest points within the box, (N, *S) -> (N, *S)."""
        return torch.minimum(torch.maximum(points, self.inner[0]), self.inner[1])
