"""The Gram matrix of sources over the pixels that they share, computed in blocks of neighbouring sources."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.plans.layout import PlanLayout
from inradius_wasserstein.projection.band import Band, Whole

# Sources of a block. Smaller blocks spend their time in calls, larger ones multiply more zeros.
_ROWS = 24


@attrs.frozen(eq=False)
class GramBlock:
    """Sources ``first`` to ``last`` of the matrix, which reach ``width`` pixels from ``start`` (B, C, 1) on.

    end: the last source that shares a pixel with them. place (B, C, (end − first) · m): the places of the moves of
    sources ``first`` to ``end`` in a matrix of ``width`` + 1 columns. The last column takes the moves to other pixels.
    """

    first: int
    last: int
    end: int
    width: int
    start: Tensor
    place: Tensor

    def take(self, rows: Tensor) -> "GramBlock":
        """The block of some examples."""
        return attrs.evolve(self, start=self.start[rows], place=self.place[rows])

    def products(self, weight: Tensor, factor: Tensor) -> Tensor:
        """Σ_j factor_j D_sj D_rj for s of the block and r > s up to ``end``, else 0, (B, C, last − first, end − first)."""
        batch, channels, _, moves = weight.shape
        count, columns = self.end - self.first, self.width + 1
        sparse = weight[:, :, self.first : self.end].reshape(batch, channels, count * moves)
        dense = weight.new_zeros(batch, channels, count * columns).scatter_add_(-1, self.place, sparse)
        dense = dense.view(batch, channels, count, columns)[..., : self.width]
        near = torch.arange(self.width, device=weight.device) + self.start
        scale = factor.gather(-1, near.clamp_max(factor.shape[-1] - 1)).unsqueeze(-2)
        own = self.last - self.first
        found = (dense[:, :, :own] * scale) @ dense.mT
        found[..., :own] *= torch.ones(own, own, dtype=weight.dtype, device=weight.device).triu_(1)
        return found


@attrs.frozen(eq=False)
class BlockedGram:
    """The blocks of all sources. Sources that share a pixel are at most ``band`` apart."""

    blocks: tuple[GramBlock, ...]
    band: int

    def take(self, rows: Tensor) -> "BlockedGram":
        """The blocks of some examples."""
        return BlockedGram(tuple(block.take(rows) for block in self.blocks), self.band)

    def matrices(self, layout: PlanLayout, weight: Tensor, factor: Tensor) -> Whole | Band:
        """Σ_j factor_j D_sj D_rj for r ≠ s, (B, C, S, m), (B, C, n) -> B · C matrices of S rows."""
        batch, channels, size = layout.mass.shape
        room = weight.new_zeros(batch * channels * size * size + size * (self.band + 1))
        upper = room[: batch * channels * size * size].view(batch, channels, size, size)
        for block in self.blocks:
            upper[:, :, block.first : block.last, block.first : block.end] = block.products(weight, factor)
        if weight.device.type != "cpu":
            return Whole(upper.flatten(0, 1))
        band = Band.empty(batch * channels, size, self.band, weight.dtype)
        # entries beyond the end of a row belong to the part left of the next row's diagonal, or to the next matrix
        band.rows.copy_(room.as_strided(band.rows.shape, (size * size, size + 1, 1)))
        band.rows[:, -1] = 0
        return band


def blocked_gram(layout: PlanLayout) -> BlockedGram:
    """The blocks of all sources.

    Sources and pixels are in the order of the image's rows, so that windows are near the diagonal.
    """
    target = layout.target.view(layout.cost.shape)
    pixels, sources = layout.pixel.shape[-1], layout.cost.shape[2]
    low = torch.where(layout.allowed, target, pixels).amin(-1)
    high = torch.where(layout.allowed, target, -1).amax(-1)
    blocks = [_block(target, low, high, first, min(first + _ROWS, sources)) for first in range(0, sources, _ROWS)]
    return BlockedGram(tuple(blocks), _band(low, high))


def _band(low: Tensor, high: Tensor) -> int:
    """The largest distance between two sources that share a pixel."""
    number = torch.arange(low.shape[-1], device=low.device)
    sharing = low.unsqueeze(-2) <= high.unsqueeze(-1)
    return int(torch.where(sharing, number - number.unsqueeze(-1), 0).amax())


def _block(target: Tensor, low: Tensor, high: Tensor, first: int, last: int) -> GramBlock:
    start, stop = low[..., first:last].amin(-1, keepdim=True), high[..., first:last].amax(-1, keepdim=True)
    width = max(1, int((stop - start).amax()) + 1)
    sharing = (low <= stop) & (high >= start)
    sharing[..., :last] = False
    further = sharing.flatten(0, 1).any(0).nonzero()
    end = last if len(further) == 0 else int(further.max()) + 1
    local = target[:, :, first:end] - start.unsqueeze(-1)
    local = torch.where((local >= 0) & (local < width), local, width)
    place = local + (torch.arange(end - first, device=target.device) * (width + 1)).unsqueeze(-1)
    return GramBlock(first, last, end, width, start, place.flatten(2))
