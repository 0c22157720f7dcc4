"""Rows of convolutions, kept as small windows while that is less work than rows over the whole image.

A neuron of a convolution sees a window of the layer before it. A row for it is stored as that window, with the place of the
neuron. A map over the layer, such as slopes, offsets or pixels, is cut into the windows of all places at once. At place p of
the neuron's own grid the window begins at p · stride − pad. Entries over the padding meet maps padded with zeros and vanish.
"""

from collections.abc import Sequence
from typing import Any, Self

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius import Operator
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.lowering.node import Node
from inradius_bounds.steps.join import Added

Pair = tuple[int, int]

# the cost of one number of a window, relative to one number of a whole row
_WORTH = 1


@attrs.frozen
class Geometry:
    """The position of windows: the grid of neurons, and the windows' size, stride and pad, each (vertical, horizontal)."""

    grid: Pair
    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)

    def pulled(self, size: Pair, stride: Pair, pad: Pair) -> Self:
        """The geometry one convolution further down, where windows have grown to ``size``."""
        total = (self.stride[0] * stride[0], self.stride[1] * stride[1])
        shift = (self.pad[0] * stride[0] + pad[0], self.pad[1] * stride[1] + pad[1])
        return attrs.evolve(self, size=size, stride=total, pad=shift)

    def around(self, other: Self) -> Self:
        """The smallest windows that contain those of both, with the same grid and stride."""
        pad = (max(self.pad[0], other.pad[0]), max(self.pad[1], other.pad[1]))
        ends = [max(self.size[a] - self.pad[a], other.size[a] - other.pad[a]) for a in (0, 1)]
        return attrs.evolve(self, size=(ends[0] + pad[0], ends[1] + pad[1]), pad=pad)

    def cut(self, image: Tensor) -> Tensor:
        """The windows of every place of a map, with zeros beyond its border, (B, C, H, W) -> a view (B, *grid, h, w, C)."""
        reach = [(self.grid[a] - 1) * self.stride[a] + self.size[a] - self.pad[a] - image.shape[2 + a] for a in (0, 1)]
        padded = F.pad(image.permute(0, 2, 3, 1), (0, 0, self.pad[1], reach[1], self.pad[0], reach[0]))
        cut = padded.unfold(1, self.size[0], self.stride[0]).unfold(2, self.size[1], self.stride[1])
        return cut.permute(0, 1, 2, 4, 5, 3)


@attrs.frozen(eq=False)
class WindowRows:
    """Rows as windows (B, s · K, h, w, C): s families, one behind the other, of the neurons at ``place`` (B, K).

    Channels come last, because convolutions of many small images are fastest so. ``clean`` is true where the entries over the
    padding are zeros.
    """

    rows: Tensor
    geometry: Geometry
    place: Tensor
    clean: bool = True

    def seen(self, image: Tensor) -> Tensor:
        """The entries of ``image`` (1 or B, C, H, W) in the rows' windows, (B, 1, K, h, w, C); 0 over the padding."""
        return self._at(self.geometry.cut(image), self.place)[:, None]

    def seen_together(self, images: Sequence[Tensor]) -> list[Tensor]:
        """The entries of several images of one shape in the rows' windows, cut at once, each (B, 1, K, h, w, C)."""
        whole = torch.cat([image.expand(len(self.place), *image.shape[1:]) for image in images])
        found = self._at(self.geometry.cut(whole), self.place.repeat(len(images), 1))
        return list(found[:, None].chunk(len(images)))

    def _at(self, cut: Tensor, place: Tensor) -> Tensor:
        """The windows at places (B, K) among those of all places, (1 or B, *grid, h, w, C) -> (B or 1, K, h, w, C)."""
        (high, wide), count = self.geometry.grid, place.shape[1]
        if count > high * wide:
            # windows that several neurons share are laid out once, which is faster to copy from
            flat = cut.reshape(-1, *cut.shape[3:])
            if len(cut) > 1:
                place = place + torch.arange(len(cut), device=cut.device)[:, None] * (high * wide)
            return flat.index_select(0, place.flatten()).view(-1, count, *cut.shape[3:])
        down, across = place // self.geometry.grid[1], place % self.geometry.grid[1]
        if len(cut) == 1:
            return cut[0][down, across]
        return cut[torch.arange(len(cut), device=cut.device)[:, None], down, across]

    @property
    def families(self) -> Tensor:
        """The rows (B, s, K, h, w, C)."""
        shape = self.rows.shape
        return self.rows.view(shape[0], -1, self.place.shape[1], *shape[2:])

    def over(self, image: Tensor) -> Tensor:
        """⟨row, image⟩, (B, s · K)."""
        return total(self.families * self.seen(image))

    def sizes(self) -> Self:
        """The rows' absolute values."""
        return attrs.evolve(self, rows=self.rows.abs())

    def wide(self) -> Self:
        """The rows in float64."""
        return attrs.evolve(self, rows=self.rows.double())

    def times(self, factor: float) -> Self:
        """The rows times a number."""
        return self if factor == 1 else attrs.evolve(self, rows=self.rows * factor)

    def select(self, index: Tensor) -> Self:
        """The rows of the chosen examples."""
        return attrs.evolve(self, rows=self.rows[index], place=self.place[index])

    def doubled(self) -> Self:
        """The rows, followed by their negatives."""
        return attrs.evolve(self, rows=torch.cat([self.rows, -self.rows], dim=1))

    def dense(self, shape: torch.Size) -> DenseRows:
        """The same functions as rows over the whole layer, (B, s · K, *shape)."""
        size = shape.numel()
        numbers = torch.arange(1, size + 1, dtype=torch.float64, device=self.rows.device)
        # place 0 collects the entries over the padding
        numbers = numbers.view(1, *shape[1:], shape[0]).permute(0, 3, 1, 2)
        places = self._at(self.geometry.cut(numbers), self.place)
        index = places.to(torch.int64).flatten(2)
        sides = self.rows.shape[1] // self.place.shape[1]
        index = index if sides == 1 else index.repeat(1, sides, 1)
        image = self.rows.new_zeros(*self.rows.shape[:2], size + 1).scatter_(2, index, self.rows.flatten(2))
        return DenseRows(image[..., 1:].reshape(*self.rows.shape[:2], *shape[1:], shape[0]).permute(0, 1, 4, 2, 3))

    def small(self, shape: torch.Size) -> bool:
        """True if a window has fewer pixels than an image of this shape and its height + width is no larger.

        Then sums over it, which ``total`` makes axis by axis, round no more often.
        """
        height, width = self.geometry.size
        return _WORTH * height * width < shape[1] * shape[2] and height + width <= shape[1] + shape[2]

    def through(self, node: Node) -> list[tuple[Node, Any]]:
        """The rows on each source of an affine node, times its linear part; windows where the node keeps them."""
        if isinstance(node.join, Added):
            return [
                (source, self.times(factor)) for source, factor in zip(node.sources, node.join.factors, strict=True)
            ]
        op = node.operator
        if op is None or not self.small(node.stored) or op.rule.window(op) is None:
            return self.dense(node.stored).through(node)
        own = self if self.clean or op.rule.elementwise else self.cleaned(op.out_shape)
        source = node.sources[0]
        found = own.pulled(op, op.rule.pull_window(op, own.rows.permute(0, 1, 4, 2, 3)))
        return [(source, found if found.small(source.stored) else found.dense(source.stored))]

    def pulled(self, op: Operator, windows: Tensor) -> Self:
        """The rows with these windows (B, s · K, C, h, w), one layer down."""
        step = op.rule.window(op)
        assert step is not None
        stride, pad = step
        geometry = self.geometry.pulled((windows.shape[-2], windows.shape[-1]), stride, pad)
        rows = windows.permute(0, 1, 3, 4, 2).contiguous()
        return attrs.evolve(self, rows=rows, geometry=geometry, clean=self.clean and max(pad) <= 0)

    def cleaned(self, shape: torch.Size) -> Self:
        """The rows with zeros over the padding of an image of this shape."""
        inside = self.seen(self.rows.new_ones(1, 1, *shape[1:]))
        return attrs.evolve(self, rows=(self.families * inside).flatten(1, 2), clean=True)

    def plus(self, other: Self) -> Self | None:
        """The rows plus those of ``other``, in windows that hold both; None where place, stride or grid differs."""
        mine, its = self.geometry, other.geometry
        if self.place is not other.place or mine.stride != its.stride or mine.grid != its.grid:
            return None
        whole = mine.around(its)
        rows = self._grown(whole)
        if torch.is_grad_enabled() or rows is self.rows:
            rows = rows + other._grown(whole)
        else:
            # the larger windows are new, so the others are added in their place
            other._within(whole, rows).add_(other.rows)
        return attrs.evolve(self, rows=rows, geometry=whole, clean=self.clean and other.clean)

    def _within(self, whole: Geometry, rows: Tensor) -> Tensor:
        """The part of larger windows (B, s · K, h, w, C) that lies over these windows, a view."""
        before = [whole.pad[a] - self.geometry.pad[a] for a in (0, 1)]
        (height, width), (top, left) = self.geometry.size, before
        return rows[:, :, top : top + height, left : left + width]

    def _grown(self, whole: Geometry) -> Tensor:
        """The windows with zeros around them, up to the size of larger ones."""
        own = self.geometry
        if own == whole:
            return self.rows
        before = [whole.pad[a] - own.pad[a] for a in (0, 1)]
        behind = [whole.size[a] - own.size[a] - before[a] for a in (0, 1)]
        return F.pad(self.rows, (0, 0, before[1], behind[1], before[0], behind[0]))


def total(products: Tensor) -> Tensor:
    """Sums over windows, (B, s, K, h, w, C) -> (B, s · K), one axis after the other, so that few roundings accumulate."""
    if products.shape[3] * products.shape[4] < products.shape[5]:
        return products.sum(5).sum(4).sum(3).flatten(1)
    # few channels are slow to add up, and whole pixels are not
    return products.sum(3).sum(3).sum(3).flatten(1)
