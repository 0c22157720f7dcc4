"""Bounds of a network's first layer: what mass gains does not depend on the image, so that a price costs a matrix product.

For a row w of the layer and a price ψ of the budget, H[i] = maxⱼ (wⱼ − wᵢ − ψ Cᵢⱼ) serves every image: the bound is
min over ψ of ⟨x, H⟩ + ψ · budget. Convolutions have one H for each filter and for each way in which its window lies at the
border of the image. The prices are those of a grid, so that the bound is sound and not quite the least.
"""

from collections.abc import Iterator

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius import AffineOperator
from inradius.sets.arithmetic.outward import smallest
from inradius.sets.arithmetic.sums import share
from inradius_wasserstein.set.levels import Sources, best_within, levels
from inradius_wasserstein.set.moves import Moves, window_moves
from inradius_wasserstein.support.budget_dual import lost_by
from inradius_wasserstein.support.concave_gain import edges

# First each halving of the dearest price, then a grid on both sides of the one where an image has found its least value.
# The prices depend on the rows alone, so that an image's bounds are the same in every batch.
_HALVINGS = 12
_GRID, _FINE_GRID = 8, 24

# Up to so many prices, as filters have, the grid keeps to them; what gains under more is smooth.
_FEW_PRICES = 512

# Numbers that the hulls of a block of rows may hold.
_BLOCK = 1 << 22

Pair = tuple[int, int]


def first_layer(op: AffineOperator, x: Tensor, moves: Moves, budget: Tensor) -> tuple[Tensor, Tensor] | None:
    """Upper bounds of −⟨row, δ⟩ and ⟨row, δ⟩ for all rows of a layer, two of (B, outputs); None where moves are not shared."""
    if moves.window is None:
        return None
    found = op.filters(x)
    if found is None and not torch.is_grad_enabled():
        # row by row costs more and is exact
        return None
    if found is not None:
        weights, grid, stride, pad = found
        reach = (len(moves.window) // 2, len(moves.window[0]) // 2)
        patches, canvas = filter_patches(torch.cat([-weights, weights]), grid, stride, pad, x, reach)
        around = window_moves(moves.window, *canvas, x.device, x.dtype)
        bound = Gains(patches, around).bound(budget).permute(1, 2, 0).flatten(1)
        return bound.tensor_split(2, dim=1)  # type: ignore[return-value]
    outputs = op.out_shape.numel()
    step = max(1, _BLOCK // (x[0].numel() * 2 * levels(moves).cost.shape[0]))
    sides = [_dense(op, x, moves, budget, torch.arange(k, min(k + step, outputs))) for k in range(0, outputs, step)]
    low, high = (torch.cat(side, dim=1) for side in zip(*sides, strict=True))
    return low, high


def _dense(op: AffineOperator, x: Tensor, moves: Moves, budget: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """The same for the rows of some outputs."""
    rows = op.unit_rows(index.to(x.device)[None], x.dtype)[0].flatten(1)
    bound = Gains(dense_patches(torch.cat([-rows, rows]), x.flatten(1)), moves).bound(budget)[0]
    low, high = bound.tensor_split(2, dim=1)
    return low, high


@attrs.frozen(eq=False)
class Patches:
    """What K rows see of the images: ``mass`` (P, B, S) of the pixels at P places, each of a ``kind`` (P,) of Q.

    worth (R, K): entries of the rows, 0 beyond the image; closed (R, 1): whether a place is beyond; source (Q, S): the places
    of the pixels in ``worth``.
    """

    mass: Tensor
    kind: Tensor
    worth: Tensor
    closed: Tensor
    source: Tensor


def dense_patches(rows: Tensor, x: Tensor) -> Patches:
    """All pixels at one place, for rows (K, n) and images (B, n)."""
    closed = torch.zeros(rows.shape[1], 1, dtype=torch.bool, device=x.device)
    every = torch.arange(x.shape[1], device=x.device)[None]
    return Patches(x[None], torch.zeros(1, dtype=torch.int64, device=x.device), rows.t(), closed, every)


class Gains:
    """The hulls of what the patches' pixels gain, and upper bounds from them."""

    def __init__(self, patches: Patches, moves: Moves) -> None:
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
        hulls = edges(values, found.cost)
        self._price = hulls.price.view(len(hulls.price), *source.shape, worth.shape[1]) * margin
        # sources share the widths, or their hulls have been walked around one by one
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
        # underflow takes from each price and width, and from what mass and budget are multiplied with
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
        """The prices of each row in order, (Q, K, N), where they are few: its least bound is at one of them."""
        if not 0 < self._price[:, 0, :, 0].numel() <= _FEW_PRICES:
            return None
        return self._price.permute(1, 3, 0, 2).flatten(2).sort(-1).values.contiguous()

    def _linear(self, grid: list[Tensor], choice: Tensor) -> Tensor:
        """⟨x, row at the targets − row⟩ at the prices chosen, whose gradient is that of the bound, (P, B, K)."""
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
    """The nearest of the prices (..., N) in order, (...)."""
    wished = psi.contiguous()[..., None]
    place = torch.searchsorted(prices, wished).clamp(max=prices.shape[-1] - 1)
    above, below = prices.gather(-1, place), prices.gather(-1, (place - 1).clamp(min=0))
    return torch.where(above - wished < wished - below, above, below)[..., 0]


def filter_patches(
    filters: Tensor, grid: Pair, stride: Pair, pad: Pair, x: Tensor, reach: Pair
) -> tuple[Patches, Pair]:
    """What filters (K, C, h, w) see of images (B, C, H, W), with the pixels from which mass can reach their window.

    Also the height and width of the canvas on which ``worth`` lies: the window, and twice the reach of moves around it.
    """
    size = [filters.shape[2 + axis] + 4 * reach[axis] for axis in (0, 1)]
    begin = [torch.arange(grid[axis], device=x.device) * stride[axis] - pad[axis] - 2 * reach[axis] for axis in (0, 1)]
    sides = [_borders(begin[axis], size[axis], x.shape[2 + axis]) for axis in (0, 1)]
    (down, rows), (across, columns) = sides
    inside = rows[:, None, :, None] & columns[None, :, None, :]
    kinds = len(rows) * len(columns)
    canvas = F.pad(filters, (2 * reach[1], 2 * reach[1], 2 * reach[0], 2 * reach[0]))
    inside = inside.view(kinds, 1, 1, *size)
    worth = (canvas * inside).permute(0, 2, 3, 4, 1).reshape(-1, len(filters))
    closed = ~inside[:, 0].expand(-1, filters.shape[1], *size).reshape(-1, 1)
    number = torch.arange(len(worth), device=x.device).view(kinds, -1, *size)
    source = number[:, :, reach[0] : size[0] - reach[0], reach[1] : size[1] - reach[1]].flatten(1)
    kind = (down[:, None] * len(columns) + across).flatten()
    return Patches(_cut(x, grid, stride, begin, size, reach), kind, worth, closed, source), (size[0], size[1])


def _borders(begin: Tensor, size: int, length: int) -> tuple[Tensor, Tensor]:
    """The kind of each place along an axis (places,), and of each kind which part of the canvas is image (kinds, size)."""
    position = begin[:, None] + torch.arange(size, device=begin.device)
    inside, kind = torch.unique((position >= 0) & (position < length), dim=0, return_inverse=True)
    return kind, inside


def _cut(x: Tensor, grid: Pair, stride: Pair, begin: list[Tensor], size: list[int], reach: Pair) -> Tensor:
    """The images' pixels from which mass reaches each place's window, 0 beyond the border, (P, B, S)."""
    first = [int(begin[axis][0]) + reach[axis] for axis in (0, 1)]
    window = (size[0] - 2 * reach[0], size[1] - 2 * reach[1])
    last = [first[axis] + (grid[axis] - 1) * stride[axis] + window[axis] - x.shape[2 + axis] for axis in (0, 1)]
    padded = F.pad(x, (-first[1], last[1], -first[0], last[0]))
    return F.unfold(padded, window, stride=stride).permute(2, 0, 1).contiguous()
