"""The cheapest plan that carries one image to another, by the network simplex of POT."""

import warnings

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inradius.sets.arithmetic.precision import working
from inradius.sets.box import excess
from inradius_wasserstein.plans.forest import settled
from inradius_wasserstein.set.moves import PixelMoves

Reals = NDArray[np.float64]
Places = NDArray[np.int64]

# Far more pivots than any image needs. A plan that is cut off here is still a plan, but not the cheapest one.
_PIVOTS = 10_000_000
# A change this large is outside of every set, and the sum of a few such changes would overflow.
_LARGEST = 1e300


@attrs.frozen(eq=False)
class ChannelPlan:
    """A transport plan within one channel, as arrays (k,): ``amount[i]`` moves from flat pixel ``source[i]`` to ``target[i]``.

    cost: the sum over all moves. unmatched: the largest of the source mass left over, the target mass left over, and the
    negative mass of either image.
    """

    source: Places
    target: Places
    amount: Reals
    cost: float
    unmatched: float


@attrs.frozen(eq=False)
class MoveTable:
    """The moves of one channel as arrays, (n, m) each, and a price above that of any chain of moves."""

    target: Places
    cost: Reals
    valid: NDArray[np.bool_]
    prohibitive: float

    @classmethod
    def of(cls, moves: PixelMoves) -> "MoveTable":
        target, cost, valid = (part.cpu().numpy() for part in (moves.target, moves.cost.double(), moves.valid))
        valid = valid & np.isfinite(cost)
        # a unit of mass that finds a partner displaces others, each pixel at most once
        return cls(target, cost, valid, (len(target) + 1) * float(cost[valid].max(initial=0.0)) + 1.0)


def plan_cost(delta: Tensor, x: Tensor, moves: PixelMoves) -> tuple[Tensor, Tensor]:
    """The least cost of a plan within the moves that carries x to x + δ, and the mass that no plan places, two of (B,).

    min ⟨C, P⟩ over P ≥ 0 with P 1 = x and Pᵀ1 = x + δ, channel by channel (B, C, H, W). Costs and masses are added up
    over the channels. Where there is no such P, the minimum is over the plans that place as much mass as possible. Both
    values are float64 values of a plan that exists, so rounding within the solver makes no cost too small.
    A mass u · Σ|δ| of each image may stay without partner at no cost, where u is the rounding unit of δ's type, because
    δ is not known more exactly. The mass that no plan places counts as 0 up to 8 u' (Σx + Σ|δ|) + 2 u Σ|δ|, where u' is
    the unit of the type that computes (single precision for half).
    """
    table = MoveTable.of(moves)
    masses, changes = (part.detach().flatten(2).double().cpu().numpy() for part in (x, delta))
    unit = torch.finfo(delta.dtype).eps
    cost, unmatched = np.zeros(len(x)), np.zeros(len(x))
    for row in range(len(x)):
        if not np.abs(changes[row]).max(initial=0) < _LARGEST:
            cost[row] = unmatched[row] = np.inf
            continue
        for mass, change in zip(masses[row], changes[row], strict=True):
            plan = cheapest(mass, mass + change, table, unit * float(np.abs(change).sum()))
            cost[row] += plan.cost
            unmatched[row] += plan.unmatched
        unmatched[row] *= unmatched[row] > _rounding(masses[row], changes[row], delta.dtype)
    return torch.from_numpy(cost).to(x.device), torch.from_numpy(unmatched).to(x.device)


def _rounding(mass: Reals, change: Reals, dtype: torch.dtype) -> float:
    """The mass by which rounding may make the mass of x + δ differ from that of x."""
    moved = float(np.abs(change).sum())
    computing = torch.finfo(working(dtype)).eps
    return 8 * computing * (float(np.abs(mass).sum()) + moved) + 2 * torch.finfo(dtype).eps * moved


def hard_violation(delta: Tensor, x: Tensor, moves: PixelMoves, cap: float | None) -> Tensor:
    """The larger of the mass that no plan places (negative pixels count in it) and a pixel's excess over the cap, (B,)."""
    _, unmatched = plan_cost(delta, x, moves)
    if cap is None:
        return unmatched
    rows = [part.flatten(1).double() for part in (delta, x)]
    return torch.maximum(unmatched, excess(rows[0], rows[1], (0.0, cap), x.dtype))


def cheapest(a: Reals, b: Reals, table: MoveTable, free: float = 0.0) -> ChannelPlan:
    """The cheapest of the plans that carry most of a (n,) to b (n,). A mass ``free`` of each may stay at no cost."""
    lost = max(float(-a[a < 0].sum()), float(-b[b < 0].sum()))
    a, b = np.maximum(a, 0), np.maximum(b, 0)
    sources, targets = np.flatnonzero(a), np.flatnonzero(b)
    if np.array_equal(a, b):
        return ChannelPlan(sources, sources, a[sources], 0.0, lost)
    edges = _edges(sources, targets, len(a), table)
    flow = _network_simplex(a[sources], b[targets], edges, free, table.prohibitive)
    used = np.flatnonzero(flow)
    source, target, amount = sources[edges.source[used]], targets[edges.target[used]], flow[used]
    left = float(np.abs(a - np.bincount(source, amount, len(a))).sum())
    right = np.abs(b - np.bincount(target, amount, len(b))).sum()
    return ChannelPlan(source, target, amount, float(amount @ edges.cost[used]), max(left, float(right), lost))


@attrs.frozen(eq=False)
class _GraphEdges:
    """Moves between pixels that have mass: places in the lists of sources and of targets, and costs, (e,) each."""

    source: Places
    target: Places
    cost: Reals


def _edges(sources: Places, targets: Places, size: int, table: MoveTable) -> _GraphEdges:
    place = np.full(size, -1)
    place[targets] = np.arange(len(targets))
    arrival = place[table.target[sources]]
    source, move = np.nonzero(table.valid[sources] & (arrival >= 0))
    return _GraphEdges(source, arrival[source, move], table.cost[sources[source], move])


def _network_simplex(a: Reals, b: Reals, edges: _GraphEdges, free: float, prohibitive: float) -> Reals:
    """The mass that moves along each edge, (e,)."""
    from ot import emd
    from scipy.sparse import coo_matrix

    rows, columns = len(a), len(b)
    each_row, each_column = np.arange(rows), np.arange(columns)
    # two more nodes on each side take the mass without a partner: one at no cost, one at a price
    blocks = [
        (edges.source, edges.target, edges.cost),
        (each_row, np.full(rows, columns), np.zeros(rows)),
        (each_row, np.full(rows, columns + 1), np.full(rows, prohibitive)),
        (np.full(columns, rows), each_column, np.zeros(columns)),
        (np.full(columns, rows + 1), each_column, np.full(columns, prohibitive)),
        (np.repeat([rows, rows + 1], 2), np.tile([columns, columns + 1], 2), np.zeros(4)),
    ]
    i, j, price = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    graph = coo_matrix((price, (i, j)), shape=(rows + 2, columns + 2))
    supply, demand = np.concatenate([a, [free, b.sum()]]), np.concatenate([b, [free, a.sum()]])
    # the solver neglects flows near 1e-15 and calls totals of 1e9 infeasible
    for size in (1e3, 1.0):
        unit = max(a.sum(), b.sum()) / size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            flow, log = emd(
                supply / unit, demand / unit, graph, _PIVOTS, log=True, center_dual=False, check_marginals=False
            )
        if log["warning"] is None:
            break
    amounts: Reals = np.zeros(graph.shape)
    source, target = flow.row.astype(np.int64), flow.col.astype(np.int64)
    amounts[source, target] = settled(source, target, flow.data * unit, supply, demand)
    moved: Reals = amounts[edges.source, edges.target]
    return moved
