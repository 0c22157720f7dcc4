"""The support function as a dual in the price of the budget, and the plan that attains it.

max ⟨c, δ⟩ = min over ψ ≥ 0 of ψ · budget + Σᵢ xᵢ maxⱼ (cⱼ − cᵢ − ψ Cᵢⱼ), the dual in the price ψ of the budget. The
gains of a source against its costs have a concave hull, and Σᵢ xᵢ maxⱼ (...) is a sum over the hulls' edges. The budget
buys edges, dearest first.
"""

import attrs
import torch
from torch import Tensor

from inradius.sets.arithmetic.bits import power, stored
from inradius.sets.arithmetic.outward import smallest
from inradius.sets.arithmetic.sums import depth, total, upper
from inradius.sets.arithmetic.underflow import recovered
from inradius_wasserstein.set.levels import Sources, best_within, levels, pixel_rows
from inradius_wasserstein.set.moves import PixelMoves
from inradius_wasserstein.support.concave_gain import HullEdges, hull_edges
from inradius_wasserstein.support.price import spend


@attrs.frozen(eq=False)
class Flow:
    """Mass that leaves its pixel. Pixels are rows among the B · n pixels of the batch.

    source and mass (B, S): a pixel and all of its mass; target, amount and cost (B, S, K): the target row, the mass
    that moves, and the cost of a unit.
    """

    source: Tensor
    mass: Tensor
    target: Tensor
    amount: Tensor
    cost: Tensor

    @property
    def paid(self) -> Tensor:
        """The cost of each flow, (B, S, K)."""
        return self.amount * self.cost

    def thinned(self, share: Tensor) -> "Flow":
        """The flows with only this share (B, n) of the mass that goes to each pixel."""
        return attrs.evolve(self, amount=self.amount * share.flatten()[self.target])


class BudgetDual:
    """The dual for directions c (B, K, n) on images x (B, n): the edges that the budget can buy, and the price at which it ends.

    ``own``: the value of mass that stays, where it differs from c. ``where``: True keeps the targets, which ``flows``
    and ``point`` need.
    """

    def __init__(
        self, c: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor, *, where: bool, own: Tensor | None = None
    ) -> None:
        self._shape, self._budget, self._sources = c.shape, budget[:, None], Sources.of(x)
        # division by a power of two is exact, and differences of c must not lose a digit
        self._c, self._scale = c, power(c if own is None else own).squeeze(-1)
        row = self._sources.row.flatten()
        rows = pixel_rows(c / self._scale[:, :, None])
        stays = (rows if own is None else pixel_rows(own / self._scale[:, :, None])).index_select(0, row)
        values, self._places = best_within(rows, stays, self._sources, moves, where=where)
        self._stays, self._best = stays, values[-1]
        self._cost = levels(moves).at(row % len(moves.target))
        self._edges = hull_edges(values, self._cost)
        self._free = self._edges.start - stays
        # quotients and products are rounded a few times
        self._margin = 4 * torch.finfo(x.dtype).eps
        self._price, self._width = self._by_example(self._edges)
        self._spent = spend(self._price, self._width, self._budget)

    def _by_example(self, found: HullEdges) -> tuple[Tensor, Tensor]:
        """Prices (B, A · S, K) and widths times mass (B, A · S, 1 or K), both rounded upwards."""
        batch, sources = self._sources.mass.shape
        mass = self._sources.mass.view(1, -1, 1)
        # a width of a pixel with mass is never taken for 0
        wide = torch.where(mass > 0, (found.width * mass).clamp(min=smallest(mass.dtype)), 0)
        price, width = (
            (side * (1 + self._margin))
            .view(len(side), batch, sources, side.shape[-1])
            .transpose(0, 1)
            .reshape(batch, len(side) * sources, side.shape[-1])
            for side in (found.price, wide)
        )
        return price, width

    def value(self) -> Tensor:
        """An upper bound on max ⟨c, δ⟩, rounded upwards, (B, K).

        It is ψ · budget + Σ width · (price − ψ)₊ at a ψ slightly above the last price, where ties add nothing.
        """
        psi = (self._spent.psi * (1 + self._margin)).clamp(min=0)
        surplus = (self._price - psi[:, None]).clamp_(min=0).mul_(self._width)
        value = psi * self._budget + total(surplus.transpose(1, 2))
        if bool(self._free.any()):
            gained = self._free.view(*self._sources.mass.shape, -1) * self._sources.mass[:, :, None]
            value = value + total(gained.transpose(1, 2))
        mass = total(self._sources.mass)[:, None]
        size = max(self._price.shape[1], self._sources.mass.shape[1], key=depth)
        # underflow may take c itself for 0, and also its product with the scale
        lost = 4 * smallest(value.dtype) * (1 + mass)
        raised = (upper(value, size) + lost_by(mass, self._cost, size, self._budget)) * self._scale + lost
        return recovered(value, raised, self._moved)

    def _moved(self, where: Tensor) -> Tensor:
        """True where some mass gains in a direction, or may gain by an amount too small to be seen, (count,).

        ``where`` is a mask (B, K) of the directions.
        """
        mass = (self._sources.mass > 0)[:, :, None]
        gains = self._best > self._stays
        gains, free = (side.view(*mass.shape[:2], -1) & mass for side in (gains, self._free != 0))
        tiny = stored(self._c) & ((self._c / self._scale[:, :, None]).abs() < smallest(self._c.dtype))
        paid = (gains.any(1) | (tiny.any(-1) & mass.any(1))) & (self._budget > 0)
        return (paid | free.any(1))[where]

    def flows(self) -> tuple[Flow, Flow]:
        """The two flows that the budget buys. Each source has at most two targets, and at most one price is bought in part."""
        spent, mass = self._spent, self._sources.mass[:, :, None]
        price = self._price.view(len(mass), len(self._edges.price), mass.shape[1], self._price.shape[2])
        further = mass * spent.share[:, None]
        return tuple(  # type: ignore[return-value]
            self._flow((price > above[:, None, None]).sum(1), amount)
            for above, amount in ((spent.high, mass - further), (spent.low, further))
        )

    def _flow(self, count: Tensor, amount: Tensor) -> Flow:
        """The mass after so many edges of each source's hull, (B, S, K)."""
        level = count.flatten(0, 1)[None]
        level = level if self._edges.ends is None else self._edges.ends.gather(0, level)
        target = torch.stack(self._places).gather(0, level).view_as(amount)
        source, mass = self._sources.row, self._sources.mass
        cost = self._cost.to(mass).expand(-1, level.shape[1])[:, :, None].expand(-1, -1, amount.shape[2])
        paid = cost.gather(0, level).view_as(amount)
        return Flow(source, mass, target, amount.masked_fill(target == source[:, :, None], 0), paid)

    def point(self) -> Tensor:
        """The change δ that the plan makes, (B, K, n)."""
        less, more = self.flows()
        leaves = torch.minimum(less.amount + more.amount, self._sources.mass[:, :, None])
        return change((less, more), leaves, self._shape)


def change(flows: tuple[Flow, Flow], leaves: Tensor, shape: torch.Size) -> Tensor:
    """The mass that arrives at each pixel minus the mass ``leaves`` (B, S, K) that leaves it, in the shape (B, K, n)."""
    batch, count, size = shape
    rows = leaves.new_zeros(batch * size, count)
    for flow in flows:
        rows.scatter_add_(0, flow.target.flatten(0, 1), flow.amount.flatten(0, 1))
    rows.index_add_(0, flows[0].source.flatten(), -leaves.flatten(0, 1))
    return rows.view(batch, size, count).transpose(1, 2)


def lost_by(mass: Tensor, cost: Tensor, edges: int, budget: Tensor) -> Tensor:
    """An upper bound on the loss by underflow, for directions below 2, mass and budget (B, 1), (B, 1).

    It counts the smallest normal number once for a product and once for a sum of each of so many edges, and for the
    products of mass, cost and budget.
    """
    few = smallest(mass.dtype)
    farthest = float(cost.max()) if cost.numel() else 0.0
    return mass * (few * 8 * (2 + farthest)) + budget * (4 * few) + few * 8 * (1 + edges)
