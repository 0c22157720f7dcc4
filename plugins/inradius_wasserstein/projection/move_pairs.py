"""The Gram matrix of sources over the pixels that they share, added up pair by pair; for sources with few moves."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.plans.layout import PlanLayout
from inradius_wasserstein.projection.band import Band


@attrs.frozen(eq=False)
class MovePairs:
    """Pairs of moves of two sources to one pixel, as lists of one tensor for each of the B · C images and channels.

    one, other: the numbers of the moves among the S · m moves. place: the place of the pair in the band of its matrix,
    at most ``width`` from the diagonal.
    """

    one: tuple[Tensor, ...]
    other: tuple[Tensor, ...]
    place: tuple[Tensor, ...]
    channels: int
    moves: int
    size: int
    width: int
    flat: tuple[Tensor, Tensor, Tensor] = attrs.field(init=False)

    @flat.default
    def _in_one(self) -> tuple[Tensor, Tensor, Tensor]:
        rows = self.size * (self.width + 1)
        first = self.width * (self.width + 1)
        return _joined(self.one, self.moves), _joined(self.other, self.moves), _joined(self.place, rows, first)

    def take(self, rows: Tensor) -> "MovePairs":
        """The pairs of some examples."""
        kept = rows.repeat_interleave(self.channels).tolist()
        one, other, place = (_kept(each, kept) for each in (self.one, self.other, self.place))
        return attrs.evolve(self, one=one, other=other, place=place)

    def matrices(self, layout: PlanLayout, weight: Tensor, factor: Tensor) -> Band:
        """Σ_j factor_j D_sj D_rj for r ≠ s, (B, C, S, m), (B, C, n) -> B · C matrices of S rows."""
        one, other, place = self.flat
        scaled = (weight * layout.at(factor)).flatten().index_select(0, one)
        products = scaled.mul_(weight.flatten().index_select(0, other))
        band = Band.empty(len(self.one), self.size, self.width, weight.dtype)
        band.numbers.index_add_(0, place, products)
        return band


def _kept(parts: tuple[Tensor, ...], kept: list[bool]) -> tuple[Tensor, ...]:
    return tuple(part for part, keep in zip(parts, kept, strict=True) if keep)


def _joined(parts: tuple[Tensor, ...], step: int, first: int = 0) -> Tensor:
    return torch.cat([part + (first + number * step) for number, part in enumerate(parts)])


def has_few_pairs(layout: PlanLayout, most: int) -> bool:
    """True where there are at most ``most`` pairs for each source."""
    arriving = layout.into(layout.open)
    return bool((arriving * (arriving - 1)).sum() <= 2 * most * layout.mass.numel())


def move_pairs(layout: PlanLayout, band: int) -> MovePairs:
    """All pairs of moves of two sources to one pixel. Such sources are at most ``band`` apart."""
    channels, size, moves = layout.cost.shape[1:]
    number = torch.arange(size * moves)
    # moves that do not exist get targets of their own, so that they form no pair
    target = torch.where(layout.allowed.flatten(2), layout.target, layout.pixel.shape[-1] + number).flatten(0, 1)
    order = target.argsort(dim=-1, stable=True)
    target = target.gather(-1, order)
    same = [target == target]
    while bool(same[-1].any()):
        lag = len(same)
        same.append(torch.nn.functional.pad(target[:, lag:] == target[:, :-lag], (0, lag)))
    image, steps, place = torch.stack(same[1:], 1).nonzero(as_tuple=True) if same[1:] else 3 * (number[:0],)
    order = order.flatten()
    first = image * (size * moves) + place
    one, other = order[first], order[first + steps + 1]
    low, high = one // moves, other // moves
    count = image.bincount(minlength=len(target)).tolist()
    apart = low * (band + 1) + high - low
    lists = [torch.split(each.int(), count) for each in (one, other, apart)]
    return MovePairs(lists[0], lists[1], lists[2], channels, size * moves, size, band)
