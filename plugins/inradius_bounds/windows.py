"""Backward rows of convolutions, kept as small windows until they are as large as the layer.

A neuron of a convolution sees a window of the layer before it. A row for it is stored as that window, (C, h, w), with the
place of the neuron; a map over the layer (slopes, offsets, pixels) is cut into the windows of all places at once. At
place p of the neuron's own grid the window begins at p · stride − pad. Entries over the padding meet maps padded with
zeros and vanish.
"""

from collections.abc import Sequence
from typing import Self

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius import Operator, Relaxation
from inradius_bounds.backward import Rows
from inradius_bounds.block import AffineBlock
from inradius_bounds.trace import Chain

Pair = tuple[int, int]


@attrs.frozen(eq=False)
class Geometry:
    """Where windows lie: the grid of neurons, the windows' size, stride and pad, each (vertical, horizontal)."""

    grid: Pair
    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)

    def pulled(self, size: Pair, stride: Pair, pad: Pair) -> Self:
        """The geometry one convolution further down, where windows have grown to ``size``."""
        total = (self.stride[0] * stride[0], self.stride[1] * stride[1])
        shift = (self.pad[0] * stride[0] + pad[0], self.pad[1] * stride[1] + pad[1])
        return attrs.evolve(self, size=size, stride=total, pad=shift)

    def cut(self, image: Tensor) -> Tensor:
        """The windows of every place of a map, zeros beyond its border, (B, C, H, W) -> (B, places, C·h·w)."""
        reach = [(self.grid[a] - 1) * self.stride[a] + self.size[a] - self.pad[a] - image.shape[2 + a] for a in (0, 1)]
        padded = F.pad(image, (self.pad[1], reach[1], self.pad[0], reach[0]))
        return F.unfold(padded, self.size, stride=self.stride).transpose(1, 2)


@attrs.frozen(eq=False)
class WindowRows:
    """Rows as windows (B, K, C, h, w) of the neurons at ``place`` (B, K), with constants and radii (B, K)."""

    rows: Tensor
    geometry: Geometry
    place: Tensor
    constant: Tensor
    radius: Tensor

    def at(self, image: Tensor) -> Tensor:
        """A map's windows at the rows' places, (1 or B, C, H, W) -> (B, K, C·h·w)."""
        cut = self.geometry.cut(image)
        if len(image) == 1:
            return cut[0][self.place]
        return cut[torch.arange(len(cut), device=cut.device)[:, None], self.place]

    def select(self, index: Tensor) -> Self:
        """The rows of a part of the examples."""
        parts = (part[index] for part in (self.rows, self.place, self.constant, self.radius))
        rows, place, constant, radius = parts
        return attrs.evolve(self, rows=rows, place=place, constant=constant, radius=radius)

    def joined(self, other: Self) -> Self:
        """These rows and behind them others of the same geometry."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("rows", "place", "constant", "radius"))
        rows, place, constant, radius = (torch.cat(pair, dim=1) for pair in pairs)
        return attrs.evolve(self, rows=rows, place=place, constant=constant, radius=radius)

    @property
    def negated(self) -> Self:
        """The same functions times −1, known up to the same radii."""
        return attrs.evolve(self, rows=-self.rows, constant=-self.constant)

    def through_activation(self, relaxation: Relaxation) -> Self:
        """The rows on a layer's input: as in ``between`` where its two lines are parallel, else as in ``below``."""
        return self._between(relaxation) if relaxation.parallel else self._below(relaxation)

    def _below(self, relaxation: Relaxation) -> Self:
        flat = self.rows.flatten(2)
        positive, negative = flat.clamp(min=0), flat.clamp(max=0)
        rows = positive * self.at(relaxation.lower_slope) + negative * self.at(relaxation.upper_slope)
        added = positive * self.at(relaxation.lower_offset) + negative * self.at(relaxation.upper_offset)
        return attrs.evolve(self, rows=rows.view_as(self.rows), constant=self.constant + added.sum(2))

    def _between(self, relaxation: Relaxation) -> Self:
        flat = self.rows.flatten(2)
        middle, half = relaxation.band
        away = flat * self.at(half)  # half ≥ 0, so |r| · half is the sum of absolute values
        near = away if middle is half else flat * self.at(middle)
        return attrs.evolve(
            self,
            rows=(flat * self.at(relaxation.lower_slope)).view_as(self.rows),
            constant=self.constant + near.sum(2),
            radius=self.radius + away.abs().sum(2),
        )

    def through_block(self, block: AffineBlock) -> "WindowRows":
        """The rows on a block's input; every layer of it can pull windows."""
        offset = self.at(block.offset(self.rows))
        constant = self.constant + (self.rows.flatten(2) * offset).sum(2)
        return attrs.evolve(pull(self, block.ops), constant=constant)

    def dense(self, shape: torch.Size) -> Rows:
        """The same functions as rows over the whole layer, (B, K, *shape)."""
        size = shape.numel()
        numbers = torch.arange(1, size + 1, dtype=torch.float64, device=self.rows.device).view(1, *shape)
        # place 0 collects what lies over the padding
        index = self.geometry.cut(numbers)[0].to(torch.int64)[self.place]
        image = self.rows.new_zeros(*self.place.shape, size + 1).scatter_(2, index, self.rows.flatten(2))
        return Rows(image[..., 1:].reshape(*self.place.shape, *shape), self.constant)


def pulls_windows(block: AffineBlock) -> bool:
    """Whether every layer of a block can pull windows, and there is one."""
    return bool(block.ops) and all(op.rule.window(op) is not None for op in block.ops)


def pull(rows: WindowRows, ops: Sequence[Operator]) -> WindowRows:
    """Rows on the input of a run of layers that all pull windows."""
    for position in range(len(ops) - 1, -1, -1):
        op = ops[position]
        rows = _shifted(rows, op, op.rule.pull_window(op, rows.rows), last=position == 0)
    return rows


def _shifted(rows: WindowRows, op: Operator, windows: Tensor, *, last: bool) -> WindowRows:
    """The rows with their windows one layer down; entries over the padding vanish unless that layer is the last."""
    step = op.rule.window(op)
    assert step is not None
    stride, pad = step
    geometry = rows.geometry.pulled((windows.shape[-2], windows.shape[-1]), stride, pad)
    rows = attrs.evolve(rows, rows=windows, geometry=geometry)
    if last or pad == (0, 0):
        return rows
    ones = torch.ones(1, *op.in_shape, dtype=windows.dtype, device=windows.device)
    return attrs.evolve(rows, rows=windows * rows.at(ones).view_as(windows))


def unit_windows(block: AffineBlock, index: Tensor, x: Tensor) -> WindowRows:
    """The rows of chosen outputs of a block that pulls windows, flat indices (B, K), on the block's input."""
    _, height, width = block.out_shape
    area = height * width
    op = block.ops[-1]
    windows = op.rule.unit_windows(op, index // area, x.dtype)
    offset = block.offset(x).flatten()[index]
    start = WindowRows(windows, Geometry((height, width)), index % area, offset, torch.zeros_like(offset))
    return pull(_shifted(start, op, windows, last=len(block.ops) == 1), block.ops[:-1])


def descend(chain: Chain, depth: int, rows: WindowRows, relaxations: Sequence[Relaxation]) -> tuple[int, Rows, Tensor]:
    """Rows on the input of block ``depth``, pulled down while they are small.

    Returns the level that they have reached (rows on the input of block ``level``), dense, and the radius up to which they
    are known.
    """
    level = depth
    while level > 0 and stays_small(chain, level, rows):
        rows = rows.through_activation(relaxations[level - 1]).through_block(chain.stages[level - 1].block)
        level -= 1
    return level, rows.dense(chain.stages[level].block.in_shape), rows.radius


def stays_small(chain: Chain, level: int, rows: WindowRows) -> bool:
    """Whether rows on the input of block ``level`` are smaller than it, and pass the block below as windows."""
    height, width = rows.geometry.size
    _, high, wide = chain.stages[level].block.in_shape
    return height * width < high * wide and pulls_windows(chain.stages[level - 1].block)
