"""Products over the pixels that two sources share, added up in panels of sources that lie near each other."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.plans import Plans

# Sources of a panel: smaller ones spend their time in calls, larger ones multiply more zeros.
_ROWS = 32


@attrs.frozen(eq=False)
class Panel:
    """Sources ``first`` to ``last`` reach ``width`` pixels from ``start`` (B, C, 1) on, and share some with those up to ``end``.

    place (B, C, (end − first) · m): where the moves of sources from ``first`` to ``end`` stand in a matrix of ``width`` + 1
    columns; the last one takes the moves to other pixels.
    """

    first: int
    last: int
    end: int
    width: int
    start: Tensor
    place: Tensor

    def take(self, rows: Tensor) -> "Panel":
        """The panel of some examples."""
        return attrs.evolve(self, start=self.start[rows], place=self.place[rows])

    def products(self, weight: Tensor, factor: Tensor) -> Tensor:
        """Σ_j factor_j D_sj D_rj for r of the panel and s from ``first`` to ``end``, (B, C, end − first, last − first)."""
        batch, channels, _, moves = weight.shape
        count, columns = self.end - self.first, self.width + 1
        sparse = weight[:, :, self.first : self.end].reshape(batch, channels, count * moves)
        dense = weight.new_zeros(batch, channels, count * columns).scatter_add_(-1, self.place, sparse)
        dense = dense.view(batch, channels, count, columns)[..., : self.width]
        near = torch.arange(self.width, device=weight.device) + self.start
        scale = factor.gather(-1, near.clamp_max(factor.shape[-1] - 1)).unsqueeze(-2)
        return dense @ (dense[:, :, : self.last - self.first] * scale).mT


def panels(plans: Plans) -> list[Panel]:
    """The panels of all sources. Sources and pixels are in the order of the image's rows, so that windows are near the diagonal."""
    target = plans.target.view(plans.cost.shape)
    pixels, sources = plans.pixel.shape[-1], plans.cost.shape[2]
    low = torch.where(plans.allowed, target, pixels).amin(-1)
    high = torch.where(plans.allowed, target, -1).amax(-1)
    return [_panel(target, low, high, first, min(first + _ROWS, sources)) for first in range(0, sources, _ROWS)]


def _panel(target: Tensor, low: Tensor, high: Tensor, first: int, last: int) -> Panel:
    start, stop = low[..., first:last].amin(-1, keepdim=True), high[..., first:last].amax(-1, keepdim=True)
    width = max(1, int((stop - start).amax()) + 1)
    sharing = (low <= stop) & (high >= start)
    sharing[..., :last] = False
    further = sharing.flatten(0, 1).any(0).nonzero()
    end = last if len(further) == 0 else int(further.max()) + 1
    local = target[:, :, first:end] - start.unsqueeze(-1)
    local = torch.where((local >= 0) & (local < width), local, width)
    place = local + (torch.arange(end - first, device=target.device) * (width + 1)).unsqueeze(-1)
    return Panel(first, last, end, width, start, place.flatten(2))


def gram(parts: list[Panel], weight: Tensor, factor: Tensor) -> Tensor:
    """Σ_j factor_j D_sj D_rj on and below the diagonal, (B, C, S, m), (B, C, n) -> (B, C, S, S)."""
    batch, channels, sources, _ = weight.shape
    matrix = weight.new_zeros(batch, channels, sources, sources)
    for part in parts:
        matrix[:, :, part.first : part.end, part.first : part.last] = part.products(weight, factor)
    return matrix
