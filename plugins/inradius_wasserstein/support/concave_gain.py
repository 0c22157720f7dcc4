"""The gain of each source against its cost, made concave: edges to buy with the budget, dearest first."""

from itertools import pairwise

import attrs
import torch
from torch import Tensor

# Up to so many levels all pairs are compared. With more levels the hull is walked.
_FEW = 24


@attrs.frozen(eq=False)
class HullEdges:
    """The edges of each source's hull: gain for a unit of cost (price) and cost for a unit of mass (width).

    price (A, S, K): falling along A, with S the sources of all examples; width (A, 1 or S, 1 or K); start (S, K): the
    gain at no cost. ``ends`` (A + 1, S, K): the level at the ends of the edges, None where these are the levels 0 ...
    A.
    """

    price: Tensor
    width: Tensor
    start: Tensor
    ends: Tensor | None


def hull_edges(values: list[Tensor], cost: Tensor) -> HullEdges:
    """The hulls of the points (cost of level v, values[v]). ``values``: V of (S, K); ``cost``: (V, 1 or S) in float64,
    the first 0.
    """
    few = len(values) <= _FEW and cost.shape[1] == 1
    if few and bool((cost.diff(dim=0) > 0).all()):
        return _compared(values, cost[:, 0].tolist())
    return _walked(torch.stack(values), cost.to(values[0])[:, :, None])


def _compared(values: list[Tensor], cost: list[float]) -> HullEdges:
    """Hulls by comparing all pairs of levels.

    Between two levels, the hull's slope is the least, over points to the left, of the largest slope to a point to the
    right.
    """
    count = len(values) - 1
    price = values[0].new_empty(count, *values[0].shape)
    for left in range(count):
        steepest = None
        for right in range(count, left, -1):
            slope = (values[right] - values[left]).div_(cost[right] - cost[left])
            steepest = slope if steepest is None else torch.maximum(steepest, slope, out=slope)
            edge = price[right - 1]
            if left:
                torch.minimum(edge, steepest, out=edge)
            else:
                edge.copy_(steepest)
    gaps = torch.tensor([high - low for low, high in pairwise(cost)], dtype=torch.float64)
    return HullEdges(price, gaps.to(values[0])[:, None, None], values[0], None)


def _walked(values: Tensor, cost: Tensor) -> HullEdges:
    """Hulls by walking from each corner to the point of the steepest slope, (V, S, K), (V, 1 or S, 1)."""
    # costs so small that their differences may underflow count as 0
    least = torch.finfo(cost.dtype).smallest_normal / torch.finfo(cost.dtype).eps
    cost = torch.where(cost < least, 0, cost).expand_as(values)
    at = ((cost == 0).sum(0, keepdim=True) - 1).expand_as(values[:1])
    start = values.gather(0, at)[0]
    ends, prices, widths = [at], [values[:0]], [values[:0]]
    while True:
        here, paid = values.gather(0, at), cost.gather(0, at)
        slope = (values - here).div_((cost - paid).clamp_(min=0)).nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
        price, to = slope.max(0, keepdim=True)
        if not bool((price > 0).any()):
            return HullEdges(torch.cat(prices), torch.cat(widths), start, torch.cat(ends))
        to = torch.where(price > 0, to, at)
        prices.append(price)
        widths.append(cost.gather(0, to) - paid)
        ends.append(to)
        at = to
