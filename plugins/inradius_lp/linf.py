"""The ℓ∞ ball ∩ box."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import ExampleRNG
from inradius.sets.arithmetic.rooms import within
from inradius_lp.algorithms import Answers
from inradius_lp.ball import LpBall


@attrs.frozen(kw_only=True)
class Linf(LpBall):
    """{δ : |δᵢ| ≤ eps for all i, x + δ in the box}; the radius is in units of the inputs.

    The set is a box, so every oracle acts on each coordinate by itself.
    """

    order: ClassVar[float] = torch.inf

    def length(self, z: Tensor) -> Tensor:
        return z.abs().amax(-1)

    def nearest(self, v: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        return torch.clamp(v, low, high)

    def farthest(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        return torch.clamp(c.sign() * radius, low, high)

    def value(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, lost: Tensor, *, slope: bool) -> Answers:
        return within(c, low, high, lost, slope=slope)

    def value_bound(
        self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, lost: Tensor, *, slope: bool
    ) -> Answers:
        return within(c, low, high, lost, slope=slope)

    def draw(self, rng: ExampleRNG, shape: tuple[int, ...], dtype: torch.dtype, free: Tensor | None) -> Tensor:
        # uniform, as PGD starts (madry2018), and beyond the radius for a fifth of the coordinates
        return 2.5 * rng.uniform(shape, dtype=dtype) - 1.25
