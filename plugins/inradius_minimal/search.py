"""The smallest radius at which a set reaches a hyperplane, found by asking its ``linear_max``."""

import torch
from torch import Tensor

from inradius import Oracles
from inradius.sets.examples import expand

# how often the radius grows, by at least twice and at most _MOST times, and how often it is narrowed down
_GROWTHS = 16
_MOST = 64.0
_CUTS = 32
_GRAIN = 1e-7


def search(threat: Oracles, normal: Tensor, need: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The δ (n, *S) and the smallest factor t (n,) with δ in scaled(t)(x) and ⟨normal, δ⟩ = need.

    need (n,) is ≥ 0. t has relative accuracy 1e-7 on convex sets: there the largest ⟨normal, δ⟩ is a concave function of t that
    is 0 at 0, so chords bound the solution from both sides. Where no tried radius suffices, t is inf and δ is the point of the
    largest ⟨normal, δ⟩ found.
    """
    search = _Search(threat, normal, need, x)
    search.grow()
    search.cut()
    return search.answer()


class _Search:
    """A bracket low < t ≤ high for each example; ``point`` is what the set reaches at high."""

    def __init__(self, threat: Oracles, normal: Tensor, need: Tensor, x: Tensor) -> None:
        self._threat, self._normal, self._need, self._x = threat, normal, need, x
        self._low, self._short = torch.zeros_like(need), torch.zeros_like(need)
        self._high = torch.ones_like(need)
        self._least = torch.finfo(need.dtype).tiny
        self._point, self._value = torch.zeros_like(x), torch.zeros_like(need)

    def _ask(self, rows: Tensor, radius: Tensor) -> None:
        """Asks what the examples in ``rows`` reach at ``radius`` and moves their brackets."""
        normal = self._normal[rows]
        point = self._threat.select(rows).per_example(radius).linear_max(normal, self._x[rows])
        value = (point * normal).flatten(1).sum(1)
        enough = value >= self._need[rows]
        self._low[rows] = torch.where(enough, self._low[rows], radius)
        self._short[rows] = torch.where(enough, self._short[rows], value)
        self._high[rows] = torch.where(enough, radius, self._high[rows])
        kept = enough | (value > self._value[rows])
        self._value[rows] = torch.where(kept, value, self._value[rows])
        self._point[rows] = torch.where(expand(kept, point), point, self._point[rows])

    def _left(self) -> Tensor:
        return (self._value < self._need).nonzero().squeeze(1)

    def grow(self) -> None:
        """Makes the radius larger until the need is reached."""
        radius = self._high
        for _ in range(_GROWTHS):
            rows = self._left()
            if not len(rows):
                return
            self._ask(rows, radius[rows])
            rows = self._left()
            factor = (self._need[rows] / self._short[rows]).nan_to_num(nan=_MOST).clamp(2.0, _MOST)
            radius = radius.index_copy(0, rows, radius[rows] * factor)

    def cut(self) -> None:
        """Narrows the brackets of those that reach it, from above by the chord between the ends and then from the middle."""
        for cut in range(_CUTS):
            below = torch.maximum(self._low, self._low * self._need / self._short.clamp(min=self._least))
            rows = ((self._value >= self._need) & (self._high - below > _GRAIN * self._high)).nonzero().squeeze(1)
            if not len(rows):
                return
            slope = (self._high - self._low) / (self._value - self._short).clamp(min=self._least)
            above = (self._low + (self._need - self._short) * slope) * (1 + _GRAIN / 8)
            # chords bound the solution of convex sets alone; what is asked lies in the bracket for any set
            asked = torch.minimum(above if cut % 2 == 0 else (below + self._high) / 2, self._high)
            self._ask(rows, torch.maximum(asked, self._low)[rows])

    def answer(self) -> tuple[Tensor, Tensor]:
        reached = self._value >= self._need
        share = torch.where(reached & (self._value > 0), self._need / self._value, torch.ones_like(self._need))
        return self._point * expand(share, self._point), torch.where(reached, self._high * share, torch.inf)
