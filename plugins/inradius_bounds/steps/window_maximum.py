"""Largest numbers over windows of images that lie side by side, as one function of all numbers of a window."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius_bounds.box import Box

Pair = tuple[int, int]


@attrs.frozen(eq=False)
class WindowMaximum:
    """z -> the largest number of each window of an image (C, H, W); with ``clipped`` 0 where all are below 0.

    Windows of ``size`` (vertical, horizontal) cover the image without gaps and do not overlap. in_shape, out_shape: those of one
    example.
    """

    size: Pair
    in_shape: torch.Size
    out_shape: torch.Size
    clipped: bool = False

    # no execution rounds it
    exact = True
    adds = False
    terms = 1
    fan = 1

    @property
    def counted(self) -> int:
        """The count of numbers of a window."""
        return self.size[0] * self.size[1]

    def __call__(self, z: Tensor) -> Tensor:
        """The largest numbers, (B, *in) -> (B, *out)."""
        found = F.max_pool2d(z, self.size)
        return found.clamp(min=0) if self.clipped else found

    def interval(self, box: Box) -> Box:
        """The box of the largest numbers over a box, which is exact."""
        return self(box[0]), self(box[1])

    def magnitude(self, bound: Tensor) -> Tensor:
        """A bound on the sizes of the largest numbers, (B, *out)."""
        return F.max_pool2d(bound, self.size)

    def split(self, z: Tensor) -> Tensor:
        """The numbers of each window side by side, (B, *in) -> (B, *out, n)."""
        (channels, height, width), (down, across) = self.out_shape, self.size
        cut = z.reshape(len(z), channels, height, down, width, across).transpose(3, 4)
        return cut.reshape(len(z), *self.out_shape, down * across)

    def joined(self, windows: Tensor) -> Tensor:
        """The reverse of ``split``."""
        (channels, height, width), (down, across) = self.out_shape, self.size
        cut = windows.reshape(len(windows), channels, height, width, down, across).transpose(3, 4)
        return cut.reshape(len(windows), *self.in_shape)

    def total(self, z: Tensor) -> Tensor:
        """The sum over each window, (B, *in) -> (B, *out)."""
        (channels, height, width), (down, across) = self.out_shape, self.size
        return z.reshape(len(z), channels, height, down, width, across).sum((3, 5))

    def undecided(self, low: Tensor, high: Tensor) -> Tensor:
        """A mask of the numbers at which tighter bounds may make planes of the maximum tighter, (B, *in)."""
        least, most = F.max_pool2d(low, self.size), high
        least = least.clamp(min=0) if self.clipped else least
        # numbers that are surely not the largest decide nothing; one alone that is surely the largest passes unchanged
        rivals = self.split(most) > least[..., None]
        few = rivals.sum(-1) <= 1
        sure = few & (self.split(low).amax(-1) >= least) if self.clipped else few
        return self.joined(rivals & ~sure[..., None])
