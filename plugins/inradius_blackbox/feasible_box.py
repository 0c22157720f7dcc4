"""The hard constraints of a set, which hold at any radius, and the box that they are where they are one."""

import attrs
import torch
from torch import Tensor

from inradius import ExampleRNG, Oracles, UnsupportedError
from inradius.sets.examples import expand

# so many radii reach everything within the hard constraints
_FAR = 1e6
# as membership forgives
_FORGIVEN = 1e-5


def far(threat: Oracles) -> Oracles:
    """The set at a radius that only its hard constraints limit."""
    return threat.scaled(_FAR)


@attrs.frozen(eq=False)
class FeasibleBox:
    """The room of each example at any radius: where ``boxed`` (B,), from ``low`` to ``high`` (B, *S), which elsewhere are ∓∞.

    Each example is judged by itself, as batch mates change nothing: a set may look like a box around some inputs alone.
    """

    low: Tensor
    high: Tensor
    boxed: Tensor
    _others: Tensor = attrs.field(init=False, default=attrs.Factory(lambda self: _where(~self.boxed), takes_self=True))

    def take(self, index: Tensor) -> "FeasibleBox":
        """The examples in ``index``."""
        return FeasibleBox(self.low[index], self.high[index], self.boxed[index])

    def nearest(self, threat: Oracles, delta: Tensor, x: Tensor) -> Tensor:
        """δ clipped to the box, or where there is none its projection on ``threat``, (B, *S)."""
        clipped = torch.clamp(delta, self.low, self.high)
        if len(rows := self._others):
            clipped[rows] = threat.select(rows).project(delta[rows], x[rows])
        return clipped


def feasible_box_of(threat: Oracles, x: Tensor) -> FeasibleBox:
    """The ends that each coordinate reaches at any radius, and the examples for which nothing else limits it."""
    reach = far(threat)
    low, high = (reach.linear_max(sign * torch.ones_like(x), x) for sign in (-1, 1))
    # a corner that no gradient would choose; the same for every example, as batch mates change nothing
    coin = ExampleRNG(0, torch.zeros(1, dtype=torch.int64)).uniform(tuple(x.shape[1:])).to(x.device) < 0.5
    sides = ((low <= 0) & (high >= 0)).flatten(1).all(1)
    boxed = sides & reach.contains(torch.where(coin, low, high), x)
    if len(rows := _where(boxed)):
        boxed[rows] = _ends(reach.select(rows), low[rows], high[rows], x[rows])
    free = expand(~boxed, x)
    return FeasibleBox(low.masked_fill(free, -torch.inf), high.masked_fill(free, torch.inf), boxed)


def _where(chosen: Tensor) -> Tensor:
    return chosen.nonzero().squeeze(1)


def _ends(reach: Oracles, low: Tensor, high: Tensor, x: Tensor) -> Tensor:
    """True where coordinates that a corner leaves at 0 can go no farther, as in a box, but not in one of many windows, (B,)."""
    further = [
        (sign * reach.linear_max(sign * still.to(x), x)).where(still, 0).flatten(1).amax(1)
        for sign, still in ((-1, low == 0), (1, high == 0))
    ]
    return torch.maximum(*further) <= _FORGIVEN


def corners_of(threat: Oracles, x: Tensor, asker: object) -> tuple[Tensor, Tensor]:
    """The ends of the box, two of (B, *S), for attacks that set coordinates to them; ``UnsupportedError`` where there is none."""
    box = feasible_box_of(threat, x)
    boxed = bool(box.boxed.all())
    # within a box, half of the radii reach all of it as well
    if boxed and len(x):
        boxed = torch.allclose(threat.scaled(_FAR / 2).linear_max(torch.ones_like(x), x), box.high)
    if not boxed:
        raise UnsupportedError(
            f"{asker} sets coordinates to the ends of a box, and {threat} has none at every radius; "
            "allowed are sets that are limited by bounds=(low, high) alone when their radius grows"
        )
    return box.low, box.high
