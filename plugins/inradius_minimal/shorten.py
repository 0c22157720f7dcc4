"""Answers moved back along their own rays, as far as they are misclassified."""

import attrs
import torch
from torch import Tensor

from inradius import Margin
from inradius.sets.examples import expand
from inradius_minimal.smallest import Smallest

# how far past the estimated boundary a try ends, as a share of the bracket
_PAST = 1e-4
# the relative width of a bracket at which an answer is short enough
_CLOSE = 1e-6


def shorten(found: Smallest, passes: int, rows: Tensor | None = None) -> None:
    """Tries s · delta with s < 1 for every answer, in at most ``passes`` forward passes; what is misclassified is recorded.

    ``rows`` (n,) are the examples whose answers are shortened, by default all that have one.
    """
    if rows is None:
        rows = (torch.isfinite(found.size) & (found.size > 0)).nonzero().squeeze(1)
    part = found.whole.take(rows)
    end, ends = found.delta[rows], _Bracket.of(found.past(part, found.clean[rows]), found.past(part, found.lead[rows]))
    for _ in range(passes):
        wide = ends.wide()
        if not len(wide):
            return
        part, end, ends = part.take(wide), end[wide], ends.take(wide)
        share = ends.crossing()
        logits, lead = part.score(end * expand(share, end), Margin())
        fooled = found.record(part, end * expand(share, end), logits)
        ends = ends.moved(share, found.past(part, lead), fooled)


@attrs.frozen(eq=False)
class _Bracket:
    """Two shares of each ray, (n,) each: at ``low`` it is not misclassified, at ``high`` it is.

    ``below`` and ``above`` are how far the lead there is past the need, halved where an end stays for the second time.


    ``side`` (n,) is 1 where the last try became high, −1 where low, 0 before the first.
    """

    low: Tensor
    high: Tensor
    below: Tensor
    above: Tensor
    side: Tensor

    @classmethod
    def of(cls, below: Tensor, above: Tensor) -> "_Bracket":
        return cls(torch.zeros_like(below), torch.ones_like(below), below, above, torch.zeros_like(below))

    def wide(self) -> Tensor:
        """The places of the rays that are not done, (n,)."""
        return (self.high - self.low > _CLOSE * self.high).nonzero().squeeze(1)

    def take(self, places: Tensor) -> "_Bracket":
        return _Bracket(*(value[places] for value in attrs.astuple(self)))

    def crossing(self) -> Tensor:
        """The share where a straight line between the ends passes zero, and a grain further, (n,)."""
        gap = self.above - self.below
        ahead = torch.where(gap > 0, -self.below / gap, 0.5).clamp(0, 1)
        return self.low + (self.high - self.low) * (ahead + _PAST * (1 - ahead))

    def moved(self, share: Tensor, lead: Tensor, fooled: Tensor) -> "_Bracket":
        """The bracket after a try; an end that stays for the second time counts half (the Illinois variant)."""
        side = torch.where(fooled, 1.0, -1.0).to(share)
        again = torch.where(side == self.side, 0.5, 1.0).to(share)
        return _Bracket(
            torch.where(fooled, self.low, share),
            torch.where(fooled, share, self.high),
            torch.where(fooled, self.below * again, lead),
            torch.where(fooled, lead, self.above * again),
            side,
        )
