"""Steps that move numbers: each number of the result is one of the input's."""

from functools import cached_property

import attrs
import torch
from torch import Tensor

from inradius import LayerRule, Operator

Pair = tuple[int, int]


@attrs.frozen
class Lattice:
    """The pixels start + step · (0, 1, 2, ...) of an image, (vertical, horizontal)."""

    start: Pair
    step: Pair

    @classmethod
    def of(cls, index: Tensor, in_shape: torch.Size, out_shape: torch.Size) -> "Lattice | None":
        """The lattice of flat indices into images (C, H, W) that make images with as many channels; None for other places."""
        if len(in_shape) != 3 or len(out_shape) != 3 or in_shape[0] != out_shape[0] or not index.numel():
            return None
        places = index.view(out_shape)
        first = int(places[0, 0, 0])
        start = first // in_shape[2], first % in_shape[2]
        down = int(places[0, 1, 0]) - first if out_shape[1] > 1 else in_shape[2]
        across = int(places[0, 0, 1]) - first if out_shape[2] > 1 else 1
        if first >= in_shape[1] * in_shape[2] or down <= 0 or down % in_shape[2] or across <= 0:
            return None
        found = cls(start, (down // in_shape[2], across))
        numbers = torch.arange(in_shape.numel(), device=index.device).view(1, *in_shape)
        ends = [found.start[a] + (out_shape[1 + a] - 1) * found.step[a] for a in (0, 1)]
        if ends[0] >= in_shape[1] or ends[1] >= in_shape[2]:
            return None
        return found if torch.equal(found.chosen(numbers, out_shape)[0], places) else None

    def chosen(self, image: Tensor, out_shape: torch.Size) -> Tensor:
        """A view of the pixels, (..., H, W) -> (..., h, w)."""
        (top, left), (down, across) = self.start, self.step
        rows = image[..., top : top + (out_shape[1] - 1) * down + 1 : down, :]
        return rows[..., left : left + (out_shape[2] - 1) * across + 1 : across]

    def spread(self, windows: Tensor) -> Tensor:
        """Windows of chosen pixels as windows of the image, with zeros between them, (..., h, w) -> (..., h', w')."""
        if windows.shape[-2:] == (1, 1) or self.step == (1, 1):
            return windows
        height, width = ((windows.shape[a - 2] - 1) * self.step[a] + 1 for a in (0, 1))
        # windows have their channels last in memory, if they have any
        turned = windows.movedim(-3, -1) if windows.ndim > 2 else windows[..., None]
        found = windows.new_zeros(*turned.shape[:-3], height, width, turned.shape[-1])
        found[..., :: self.step[0], :: self.step[1], :] = turned
        return found.movedim(-1, -3) if windows.ndim > 2 else found[..., 0]


@attrs.frozen(eq=False, slots=False)
class Move:
    """z -> z[index], reshaped. index (out numbers,) counts the input's numbers from 0; None keeps their order."""

    index: Tensor | None
    in_shape: torch.Size
    out_shape: torch.Size
    # for images whose pixels are every so many of the input's in each channel
    lattice: Lattice | None = None

    @cached_property
    def copies(self) -> int:
        """The most places that one of the input's numbers is moved to."""
        return 1 if self.index is None or not self.index.numel() else int(self.index.bincount().max())

    def __call__(self, z: Tensor) -> Tensor:
        if self.lattice is not None:
            return self.lattice.chosen(z, self.out_shape)
        flat = z if self.index is None else z.flatten(1)[:, self.index]
        return flat.reshape(len(z), *self.out_shape)

    def adjoint(self, rows: Tensor) -> Tensor:
        """Each number's row at the place it came from, (B, K, *out) -> (B, K, *in); rows of several copies are added up."""
        if self.lattice is not None:
            whole = rows.new_zeros(*rows.shape[:2], *self.in_shape)
            self.lattice.chosen(whole, self.out_shape).copy_(rows)
            return whole
        if self.index is not None:
            size = self.in_shape.numel()
            rows = rows.new_zeros(*rows.shape[:2], size).index_add(2, self.index, rows.flatten(2))
        return rows.reshape(*rows.shape[:2], *self.in_shape)


class ReshapeRule(LayerRule):
    """The rule of steps that keep the order of the numbers and change the shape."""

    affine = True
    elementwise = True
    rounds = False

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return op(lower), op(upper)

    def magnitude(self, op: Operator, bound: Tensor) -> Tensor:
        return op(bound)

    def stretch(self, op: Operator, bound: Tensor) -> Tensor:
        return op(bound)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        moved: Tensor = op.module.adjoint(rows)
        return moved

    def fan(self, op: Operator) -> int:
        return 1


class MoveRule(ReshapeRule):
    """The rule of steps that move numbers to other places, some of them to several or to none."""

    elementwise = False

    def mixes(self, op: Operator) -> bool:
        return False

    def window(self, op: Operator) -> tuple[Pair, Pair] | None:
        lattice = op.module.lattice
        # windows begin behind the border
        return None if lattice is None else (lattice.step, (-lattice.start[0], -lattice.start[1]))

    def pull_window(self, op: Operator, windows: Tensor) -> Tensor:
        found: Tensor = op.module.lattice.spread(windows)
        return found

    def fan(self, op: Operator) -> int:
        return int(op.module.copies)
