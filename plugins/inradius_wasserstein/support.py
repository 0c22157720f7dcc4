"""The support function of a Wasserstein ball, exact, and the plan that attains it.

max ⟨c, δ⟩ = min over ψ ≥ 0 of ψ · budget + Σᵢ xᵢ maxⱼ (cⱼ − cᵢ − ψ Cᵢⱼ), the dual in the price ψ of the budget. Every ψ ≥ 0 is
an upper bound. The gains of a source against its costs have a concave hull; the budget buys the edges of all hulls, dearest
first, and the last price is ψ.
"""

import torch
from torch import Tensor

from inradius.arithmetic.sums import total, upper
from inradius_wasserstein.hull import Segments, segments
from inradius_wasserstein.levels import Levels, Sources, best_within, levels, table
from inradius_wasserstein.moves import Moves
from inradius_wasserstein.price import Spent, spend


def support_value(c: Tensor, x: Tensor, moves: Moves, budget: Tensor) -> Tensor:
    """max ⟨c, δ⟩, rounded upwards, (B, K, n), (B, n), (B,) -> (B, K)."""
    return _Market(c, x, moves, budget, where=False).value()


def support_point(c: Tensor, x: Tensor, moves: Moves, budget: Tensor) -> Tensor:
    """A maximiser δ of ⟨c, δ⟩ that spends at most the budget, (B, K, n)."""
    grain = torch.finfo(x.dtype).eps
    return _Market(c, x, moves, budget * (1 - 16 * grain), where=True).point()


def support_both(c: Tensor, x: Tensor, moves: Moves, budget: Tensor) -> tuple[Tensor, Tensor]:
    """The value and a maximiser."""
    market = _Market(c, x, moves, budget, where=True)
    return market.value(), market.point()


class _Market:
    """The segments that the budget can buy for each direction, and where it ends."""

    def __init__(self, c: Tensor, x: Tensor, moves: Moves, budget: Tensor, *, where: bool) -> None:
        self._c, self._x, self._budget = c, x, budget[:, None]
        self._sources = Sources.of(x)
        # a power of two is exact, and differences of c must not lose a digit
        self._scale = _power(c)
        self._levels = levels(moves)
        rows = table(c / self._scale[:, :, None])
        values, self._places = best_within(rows, self._sources, moves, where=where)
        row = self._sources.row.flatten()
        found = segments(values, self._levels, row % len(moves.target))
        self._free = None if len(self._levels.columns[0]) == 1 else values[0] - rows.index_select(0, row)
        self._segments = found
        grain = torch.finfo(x.dtype).eps
        self._margin = 4 * grain + 4 * self._levels.slack * torch.finfo(torch.float64).eps
        self._price, self._width = self._by_example(found)
        self._spent = spend(self._price, self._width, self._budget)

    def _by_example(self, found: Segments) -> tuple[Tensor, Tensor]:
        """Prices (B, S · A, K) and widths times mass (B, S · A, 1 or K), both rounded upwards."""
        batch, sources = self._sources.mass.shape
        edges, _, count = found.price.shape
        mass = (self._sources.mass * (1 + self._margin)).view(1, -1, 1)
        width = found.width * mass
        price = found.price * (1 + self._margin)
        sides = (price, width)
        return tuple(  # type: ignore[return-value]
            side.view(edges, batch, sources, -1).transpose(0, 1).reshape(batch, edges * sources, side.shape[-1])
            for side in sides
        )

    def value(self) -> Tensor:
        """ψ · budget + Σ width · (price − ψ)₊ a little above the last price, where ties add nothing, (B, K)."""
        psi = self._spent.psi * (1 + self._margin)
        surplus = (self._price - psi[:, None]).clamp_(min=0).mul_(self._width)
        value = psi * self._budget + total(surplus.transpose(1, 2))
        if self._free is not None:
            gained = self._free.view(*self._sources.mass.shape, -1) * self._sources.mass[:, :, None]
            value = value + total(gained.transpose(1, 2))
        return upper(value, max(1, self._price.shape[1])) * self._scale

    def point(self) -> Tensor:
        """What is bought, as movements of mass, (B, K, n)."""
        spent = self._spent
        batch, count, size = self._c.shape
        sources = self._sources.mass.shape[1]
        price = self._price.view(batch, -1, sources, count)
        share = spent.share[:, None]
        mass = self._sources.mass[:, :, None]
        less, more = (self._ends((price > side[:, None, None]).sum(1)) for side in (spent.high, spent.low))
        further = mass * share
        flat = torch.zeros(batch * size, count, dtype=self._x.dtype, device=self._x.device)
        row = self._sources.row[:, :, None]
        leaves = torch.zeros_like(further)
        for target, amount in ((less, mass - further), (more, further)):
            moved = torch.where(target != row, amount, torch.zeros_like(amount))
            leaves = leaves + moved
            flat.scatter_add_(0, target.flatten(0, 1), moved.flatten(0, 1))
        leaves = torch.minimum(leaves, mass)
        flat.index_add_(0, self._sources.row.flatten(), -leaves.flatten(0, 1))
        return flat.view(batch, size, count).transpose(1, 2)

    def _ends(self, edges: Tensor) -> Tensor:
        """The rows of the targets after so many edges of each source's hull, (B, S, K)."""
        edges = edges.flatten(0, 1)[None]
        level = edges if self._segments.ends is None else self._segments.ends.gather(0, edges)
        found = torch.stack(self._places).gather(0, level)
        return found.view(*self._sources.mass.shape, -1)


def _power(c: Tensor) -> Tensor:
    """A power of two near the largest |c| of each direction, (B, K, n) -> (B, K)."""
    largest = c.abs().amax(-1)
    return torch.exp2(torch.where(largest > 0, largest, torch.ones_like(largest)).log2().floor().clamp(-120, 120))
