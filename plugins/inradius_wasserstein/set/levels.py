"""The gain of a pixel's mass by moving: the best target within each level of cost."""

from functools import lru_cache

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.set.moves import PixelMoves


@attrs.frozen(eq=False)
class Levels:
    """The moves grouped by cost: ``columns`` of each level's moves, and the ``cost`` of each level, (V, 1 or n), the first 0."""

    columns: tuple[tuple[int, ...], ...]
    cost: Tensor

    def at(self, pixel: Tensor) -> Tensor:
        """The costs for some pixels (S,), (V, 1 or S)."""
        return self.cost if self.cost.shape[1] == 1 else self.cost[:, pixel]


@lru_cache(maxsize=32)
def levels(moves: PixelMoves) -> Levels:
    """The levels of cost. Where pixels have different moves, each of the m moves is a level of its own."""
    if moves.price is None:
        # padding comes after the moves and costs nothing
        cost = moves.cost.cummax(1).values.t().contiguous()
        return Levels(tuple((column,) for column in range(len(cost))), cost)
    groups: dict[float, list[int]] = {}
    for column, price in enumerate(moves.price):
        groups.setdefault(price, []).append(column)
    costs = sorted(groups)
    # on the CPU, because not every device has float64
    return Levels(tuple(tuple(groups[cost]) for cost in costs), torch.tensor(costs, dtype=torch.float64)[:, None])


@attrs.frozen(eq=False)
class Sources:
    """The pixels with mass: their places among the B · n rows of ``pixel_rows``, and their mass, two of (B, S)."""

    row: Tensor
    mass: Tensor

    @classmethod
    def of(cls, x: Tensor) -> "Sources":
        """The sources of images (B, n), padded with pixels without mass to the same number in each image."""
        busy = x > 0
        count = max(1, int(busy.sum(1).max())) if x.numel() else 0
        place = busy.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :count]
        first = torch.arange(len(x), device=x.device)[:, None] * x.shape[1]
        return cls(place + first, x.gather(1, place))


def pixel_rows(c: Tensor) -> Tensor:
    """Directions (B, K, n) with one row for each pixel, (B · n, K)."""
    return c.transpose(1, 2).reshape(-1, c.shape[1])


def best_within(
    rows: Tensor, stays: Tensor, sources: Sources, moves: PixelMoves, *, where: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """For each level, the largest entry that a source reaches at its cost or less, and with ``where`` its row.

    ``rows`` (B · n, K): the value of mass that arrives. ``stays`` (B · S, K): the value of mass that stays. Returns two
    lists of V tensors (B · S, K).
    """
    row = sources.row.flatten()
    pixel = row % len(moves.target)
    corner = row - pixel
    best = stays
    place = row[:, None].expand_as(best).contiguous() if where else row
    values, places = [], []
    for columns in levels(moves).columns:
        for column in columns:
            target = corner + moves.target[pixel, column]
            offer = rows.index_select(0, target)
            if where:
                place = torch.where(offer > best, target[:, None], place)
            best = torch.maximum(best, offer)
        values.append(best)
        places.append(place)
    return values, places
