"""The support function of a Wasserstein ball, exact, and the plan that attains it.

max ⟨c, δ⟩ = min over ψ ≥ 0 of ψ · budget + Σᵢ xᵢ maxⱼ (cⱼ − cᵢ − ψ Cᵢⱼ), the dual in the price ψ of the budget. Every ψ ≥ 0 is
an upper bound. The gains of a source against its costs have a concave hull; the budget buys the edges of all hulls, dearest
first, and the last price is ψ.
"""

import torch
from torch import Tensor

from inradius.arithmetic.sums import total, upper
from inradius_wasserstein.hull import Edges, edges
from inradius_wasserstein.levels import Sources, best_within, levels, table
from inradius_wasserstein.moves import Moves
from inradius_wasserstein.price import spend


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
    """The edges that the budget can buy for each direction, and where it ends."""

    def __init__(self, c: Tensor, x: Tensor, moves: Moves, budget: Tensor, *, where: bool) -> None:
        self._shape, self._budget, self._sources = c.shape, budget[:, None], Sources.of(x)
        # a power of two is exact, and differences of c must not lose a digit
        self._scale = _power(c)
        rows, row = table(c / self._scale[:, :, None]), self._sources.row.flatten()
        values, self._places = best_within(rows, self._sources, moves, where=where)
        self._edges = edges(values, levels(moves).at(row % len(moves.target)))
        self._free = self._edges.start - rows.index_select(0, row)
        # quotients and products are rounded a few times
        self._margin = 4 * torch.finfo(x.dtype).eps
        self._price, self._width = self._by_example(self._edges)
        self._spent = spend(self._price, self._width, self._budget)

    def _by_example(self, found: Edges) -> tuple[Tensor, Tensor]:
        """Prices (B, A · S, K) and widths times mass (B, A · S, 1 or K), both rounded upwards."""
        batch, sources = self._sources.mass.shape
        mass = self._sources.mass.view(1, -1, 1)
        price, width = (
            (side * (1 + self._margin))
            .view(len(side), batch, sources, -1)
            .transpose(0, 1)
            .reshape(batch, len(side) * sources, side.shape[-1])
            for side in (found.price, found.width * mass)
        )
        return price, width

    def value(self) -> Tensor:
        """ψ · budget + Σ width · (price − ψ)₊ a little above the last price, where ties add nothing, (B, K)."""
        psi = self._spent.psi * (1 + self._margin)
        surplus = (self._price - psi[:, None]).clamp_(min=0).mul_(self._width)
        value = psi * self._budget + total(surplus.transpose(1, 2))
        if bool(self._free.any()):
            gained = self._free.view(*self._sources.mass.shape, -1) * self._sources.mass[:, :, None]
            value = value + total(gained.transpose(1, 2))
        return upper(value, max(1, self._price.shape[1])) * self._scale

    def point(self) -> Tensor:
        """What is bought, as movements of mass, (B, K, n)."""
        spent = self._spent
        batch, count, size = self._shape
        sources = self._sources.mass.shape[1]
        price = self._price.view(batch, len(self._edges.price), sources, count)
        share = spent.share[:, None]
        mass = self._sources.mass[:, :, None]
        less, more = (self._ends((price > side[:, None, None]).sum(1)) for side in (spent.high, spent.low))
        further = mass * share
        flat = torch.zeros(batch * size, count, dtype=mass.dtype, device=mass.device)
        row = self._sources.row[:, :, None]
        leaves = torch.zeros_like(further)
        for target, amount in ((less, mass - further), (more, further)):
            moved = torch.where(target != row, amount, torch.zeros_like(amount))
            leaves = leaves + moved
            flat.scatter_add_(0, target.flatten(0, 1), moved.flatten(0, 1))
        leaves = torch.minimum(leaves, mass)
        flat.index_add_(0, self._sources.row.flatten(), -leaves.flatten(0, 1))
        return flat.view(batch, size, count).transpose(1, 2)

    def _ends(self, count: Tensor) -> Tensor:
        """The rows of the targets after so many edges of each source's hull, (B, S, K)."""
        count = count.flatten(0, 1)[None]
        level = count if self._edges.ends is None else self._edges.ends.gather(0, count)
        found = torch.stack(self._places).gather(0, level)
        return found.view(*self._sources.mass.shape, -1)


def _power(c: Tensor) -> Tensor:
    """A power of two near the largest |c| of each direction, (B, K, n) -> (B, K)."""
    largest = c.abs().amax(-1)
    return torch.exp2(torch.where(largest > 0, largest, torch.ones_like(largest)).log2().floor().clamp(-120, 120))
