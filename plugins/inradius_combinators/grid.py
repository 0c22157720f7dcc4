"""The levels of stored images, and perturbations between them."""

import attrs
import torch
from torch import Tensor

from inradius import InputError, Oracles
from inradius.sets.arithmetic.sides import Box, beside

# an input lies on a level where it is nearer to it than this share of the distance between levels
_ON = 1e-3
# halvings of the share of a perturbation that is kept
_HALVINGS = 12


@attrs.frozen(eq=False)
class Grid:
    """The levels low + k · width, k = 0, 1, …, of each coordinate; ``low`` and ``width`` are beside the inputs."""

    low: Tensor
    width: Tensor
    most: int

    @classmethod
    def of(cls, bounds: Box, x: Tensor, bits: int) -> "Grid":
        """The 2^bits levels of the box of valid inputs. Raises ``InputError`` where there is no box."""
        found = beside(bounds, x)
        if found is None:
            raise InputError("a grid needs the box of valid inputs, and the set has none; allowed are sets with bounds")
        low, high = (torch.as_tensor(side, dtype=torch.float64).to(x.device) for side in found)
        most = 2**bits - 1
        return cls(low, (high - low) / most, most)

    def level(self, x: Tensor) -> Tensor:
        """The number of the nearest level, in float64, of x's shape."""
        place: Tensor = ((x.double() - self.low) / self.width).round()
        return place.clamp(0, self.most)

    def check(self, x: Tensor) -> None:
        """Raises ``InputError`` where inputs lie between levels."""
        # a level is rounded to the type of x
        rounding = torch.finfo(x.dtype).eps * torch.maximum(x.double().abs(), self.low.abs()) / self.width
        off = ((x.double() - self.low) / self.width - self.level(x)).abs() > rounding.clamp(min=_ON)
        bad = off.flatten(1).any(1)
        if bool(bad.any()):
            raise InputError(
                f"input {int(bad.nonzero()[0])} has values between the {self.most + 1} levels of the box; allowed are inputs on "
                "them, as images of 8 bits are after a division by 255"
            )

    def nearest(self, delta: Tensor, x: Tensor) -> Tensor:
        """The perturbation to the nearest levels, (n, *S); 0 where the level is that of x."""
        return self._to(self.level(x.double() + delta.double()), x)

    def towards(self, delta: Tensor, x: Tensor) -> Tensor:
        """The perturbation to the next levels towards x, (n, *S)."""
        own = self.level(x)
        moved = (x.double() + delta.double() - self.low) / self.width - own
        # what is a level up to rounding stays one
        return self._to((own + (moved.abs() + _ON).floor() * moved.sign()).clamp(0, self.most), x)

    def inside(self, delta: Tensor, x: Tensor, threat: Oracles) -> Tensor:
        """Perturbations in Δ(x) to levels, near δ (n, *S): the nearest levels of the largest share of δ at which they are members.

        Where the levels towards x are members and longer, they are taken.
        """
        low = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        high = torch.ones_like(low)
        found = torch.zeros_like(delta)
        share = high
        for _ in range(_HALVINGS):
            tried = self.nearest(delta * _beside(share, delta), x)
            member = threat.contains(tried, x)
            found = torch.where(_beside(member, delta), tried, found)
            low, high = torch.where(member, share, low), torch.where(member, high, share)
            share = torch.where(low >= 1, low, (low + high) / 2)
        down = self.towards(delta, x)
        better = threat.contains(down, x) & (_length(down) > _length(found))
        return torch.where(_beside(better, delta), down, found)

    def _to(self, level: Tensor, x: Tensor) -> Tensor:
        moved = (self.low + level * self.width - x.double()).to(x.dtype)
        return torch.where(level == self.level(x), torch.zeros_like(moved), moved)


def _beside(values: Tensor, like: Tensor) -> Tensor:
    found = values.view(-1, *(1,) * (like.ndim - 1))
    return found if found.dtype == torch.bool else found.to(like)


def _length(delta: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(delta.double().flatten(1), dim=1)
    return length
