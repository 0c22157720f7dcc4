"""Upper bounds of a layer's rows over patches, at the prices of a grid."""

from collections.abc import Iterator

import torch
from torch import Tensor

from inradius.sets.arithmetic.outward import smallest
from inradius.sets.arithmetic.sums import share
from inradius_wasserstein.set.levels import Sources, best_within, levels
from inradius_wasserstein.set.moves import PixelMoves
from inradius_wasserstein.support.budget_dual import lost_by
from inradius_wasserstein.support.concave_gain import hull_edges
from inradius_wasserstein.support.patches import Patches

# The first grid halves the dearest price so many times. A finer grid follows on both sides of the price at which an image
# has its least value. The prices depend on the rows alone, so that an image's bounds are the same in every batch.
_HALVINGS = 12
_GRID, _FINE_GRID = 8, 24

# With at most so many prices, as filters have, the grid uses exactly these; with more, the bound is smooth in the price.
_FEW_PRICES = 512


class PatchHulls:
    """The concave hulls of the gains of the patches' pixels, and upper bounds from them."""

    def __init__(self, patches: Patches, moves: PixelMoves) -> None:
        self._patches = patches
        worth = patches.worth.detach()
        source = patches.source
        found = levels(moves)
        margin = 1 + 4 * torch.finfo(worth.dtype).eps
        values, self._places = best_within(
            worth.masked_fill(patches.closed, -torch.inf),
            worth.index_select(0, source.flatten()),
            Sources(source, source),
            moves,
            where=True,
        )
        hulls = hull_edges(values, found.cost)
        self._price = hulls.price.view(len(hulls.price), *source.shape, worth.shape[1]) * margin
        # sources share the widths, unless their hulls were walked one by one
        shape = (1, 1, 1) if hulls.ends is None else (*source.shape, worth.shape[1])
        self._width = (hulls.width * margin).clamp(min=smallest(worth.dtype)).view(-1, *shape)
        self._ends = hulls.ends
        self._cost, self._mass = found.cost, patches.mass.sum(-1)[..., None]
        self._start = (hulls.start - worth.index_select(0, source.flatten())).view(*source.shape, -1)

    def bound(self, budget: Tensor) -> Tensor:
        """Upper bounds of ⟨row, δ⟩, with a gradient in the rows, (P, B, K)."""
        top = self._price.amax((0, 2)) if self._price.numel() else self._start.amax(1) * 0
        grid = [top * 0.5**step for step in range(_HALVINGS)] + [torch.zeros_like(top)]
        value, choice = self._least(grid, budget)
        wanted = torch.is_grad_enabled() and self._patches.worth.requires_grad
        nearest = choice
        prices = self._few_prices()
        for interval, psi in self._between(top, nearest, _GRID if wanted else _FINE_GRID):
            psi = psi if prices is None else _nearest(psi, prices)
            finer = self._at(psi, budget)
            better = (finer < value) & ((interval == nearest) | (interval == nearest - 1))
            value, choice = torch.where(better, finer, value), torch.where(better, len(grid), choice)
            grid.append(psi)
        if not wanted:
            return value
        linear = self._linear(grid, choice)
        return value + (linear - linear.detach())

    def _least(self, grid: list[Tensor], budget: Tensor) -> tuple[Tensor, Tensor]:
        """The least bound over prices (Q, K) and its place in the grid, two of (P, B, K)."""
        least, choice = self._at(grid[0], budget), None
        choice = torch.zeros_like(least, dtype=torch.int64)
        for place, psi in enumerate(grid[1:], 1):
            value = self._at(psi, budget)
            choice = torch.where(value < least, place, choice)
            least = torch.minimum(least, value)
        return least, choice

    @torch.no_grad()
    def _at(self, psi: Tensor, budget: Tensor) -> Tensor:
        """⟨x, H⟩ + ψ · budget, rounded upwards, (P, B, K)."""
        surplus = (self._price - psi[:, None]).clamp_(min=0)
        gain = torch.addcmul(self._start, surplus[0], self._width[0]) if len(surplus) else self._start
        for edge in range(1, len(surplus)):
            gain.addcmul_(surplus[edge], self._width[edge])
        value = self._product(gain) + psi[self._patches.kind][:, None] * budget[:, None]
        terms = gain.shape[1] + 2 * len(surplus) + 24
        # underflow takes from each price and width, and from the products with mass and budget
        lost = lost_by(self._mass, self._cost, gain.shape[1], budget[:, None])
        raised = (
            value * (1 + share(terms, value.dtype)) + lost + len(surplus) * self._mass * (8 * smallest(value.dtype))
        )
        return torch.where((budget[:, None] > 0) | (value > 0), raised, value)

    def _product(self, gain: Tensor) -> Tensor:
        """⟨x, gain⟩ at each place, (Q, S, K) -> (P, B, K)."""
        kind = self._patches.kind
        return self._patches.mass @ (gain if len(kind) == len(gain) == 1 else gain[kind])

    def _between(self, top: Tensor, choice: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Prices in the intervals beside those that the images have chosen, each (Q, K), and the intervals, (P, 1, K)."""
        kind = self._patches.kind
        kinds = kind[:, None].expand(-1, choice.shape[2])
        first = torch.full_like(top, _HALVINGS, dtype=torch.int64)
        first.scatter_reduce_(0, kinds, choice.amin(1), "amin")
        last = torch.zeros_like(first).scatter_reduce_(0, kinds, choice.amax(1), "amax")
        width = int((last - first).max()) + 2 if choice.numel() else 0
        for interval in (first - 1 + step for step in range(width)):
            for part in range(count):
                psi = top * torch.exp2(-(interval + (part + 0.5) / count).to(top.dtype))
                yield interval[kind][:, None], psi

    def _few_prices(self) -> Tensor | None:
        """The sorted prices of each row, (Q, K, N), because its least bound is at one of them; None where they are many."""
        if not 0 < self._price[:, 0, :, 0].numel() <= _FEW_PRICES:
            return None
        return self._price.permute(1, 3, 0, 2).flatten(2).sort(-1).values.contiguous()

    def _linear(self, grid: list[Tensor], choice: Tensor) -> Tensor:
        """⟨x, row at the targets − row⟩ at the prices chosen, with the gradient of the bound, (P, B, K)."""
        worth = self._patches.worth
        stays = worth.index_select(0, self._patches.source.flatten())
        places = torch.stack(self._places)
        linear = torch.zeros_like(choice, dtype=worth.dtype)
        for number in sorted(set(choice.flatten().tolist())):
            level = (self._price > grid[number][:, None]).sum(0).flatten(0, 1)
            level = level[None] if self._ends is None else self._ends.gather(0, level[None])
            target = places.gather(0, level)[0]
            gain = (worth.gather(0, target) - stays).view(*self._patches.source.shape, -1)
            linear = linear + self._product(gain) * (choice == number)
        return linear


def _nearest(psi: Tensor, prices: Tensor) -> Tensor:
    """For each ψ (...) the nearest of the sorted prices (..., N), (...)."""
    wished = psi.contiguous()[..., None]
    place = torch.searchsorted(prices, wished).clamp(max=prices.shape[-1] - 1)
    above, below = prices.gather(-1, place), prices.gather(-1, (place - 1).clamp(min=0))
    return torch.where(above - wished < wished - below, above, below)[..., 0]
