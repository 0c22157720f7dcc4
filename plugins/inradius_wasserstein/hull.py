"""Gain against cost of each source, made concave: segments to buy with the budget, dearest first."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.levels import Levels

# Up to here all pairs of levels are compared, beyond the hull is walked around.
_FEW = 24


@attrs.frozen(eq=False)
class Segments:
    """The edges of each source's hull: gain for a unit of cost (price) and cost (width) of a unit of mass.

    price (A, S, K), falling along A, S the sources of all examples; width (A, 1 or S, 1 or K). ``ends`` (A + 1, S, K): the
    level at the ends of the edges, None where these are just the levels 0 ... A.
    """

    price: Tensor
    width: Tensor
    ends: Tensor | None


def segments(values: list[Tensor], levels: Levels, pixel: Tensor) -> Segments:
    """The hulls of the points (cost of level v, values[v]), V of (S, K), of sources that are these pixels (S,)."""
    if levels.shared and len(values) <= _FEW:
        return _compared(values, levels.price)
    return _walked(torch.stack(values), levels.cost.to(values[0])[pixel if not levels.shared else pixel * 0].t())


def _compared(values: list[Tensor], cost: list[float]) -> Segments:
    """Between two levels the hull's slope is the least over points to the left of the largest to a point to the right."""
    count = len(values) - 1
    price = values[0].new_empty(count, *values[0].shape)
    for left in range(count):
        steepest = None
        for right in range(count, left, -1):
            slope = (values[right] - values[left]).div_(cost[right] - cost[left])
            steepest = slope if steepest is None else torch.maximum(steepest, slope)
            edge = price[right - 1]
            if left:
                torch.minimum(edge, steepest, out=edge)
            else:
                edge.copy_(steepest)
    width = torch.tensor([high - low for low, high in zip(cost, cost[1:], strict=False)], dtype=torch.float64)
    return Segments(price, width.to(values[0])[:, None, None], None)


def _walked(values: Tensor, cost: Tensor) -> Segments:
    """From each corner to the point that is seen under the steepest slope, (V, S, K), (V, S) -> segments."""
    cost = cost[:, :, None]
    for level in range(len(cost) - 2, -1, -1):
        # among points of one cost the last one is the best
        values[level] = torch.where(cost[level] == cost[level + 1], values[level + 1], values[level])
    at = torch.zeros_like(values[:1], dtype=torch.int64)
    ends, prices, widths = [at], [], []
    while True:
        here, paid = values.gather(0, at), cost.expand_as(values).gather(0, at)
        further = cost > paid
        slope = (values - here).div_(torch.where(further, cost - paid, torch.ones_like(paid)))
        price, to = torch.where(further, slope, torch.zeros_like(slope)).max(0, keepdim=True)
        if not bool((price > 0).any()):
            break
        to = torch.where(price > 0, to, at)
        prices.append(price)
        widths.append(cost.expand_as(values).gather(0, to) - paid)
        ends.append(to)
        at = to
    if not prices:
        return Segments(values[:0], values[:0], torch.cat(ends))
    return Segments(torch.cat(prices), torch.cat(widths), torch.cat(ends))
