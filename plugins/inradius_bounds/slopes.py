"""Ascent on the slopes: the line below each undecided neuron, row by row, moved to where the bound is higher.

maximise over s ∈ [0, 1]    the bound of the backward pass with (1 − s) · (first line) + s · (last line) below each neuron.

Every s is sound, so the search needs no proof. With one hidden layer the bound is concave in s, and its maximum is that
of the LP relaxation with the same inner bounds. Source: xu2021.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from inradius import Operator, Oracles
from inradius_bounds.backward import Rows, close
from inradius_bounds.block import AffineBlock
from inradius_bounds.forward import Box
from inradius_bounds.layer_bounds import LayerBounds
from inradius_bounds.trace import Chain

# the first step, as a share of the way between the two lines, and what it falls to
_STEP, _LAST = 0.25, 0.02


@attrs.frozen(eq=False)
class Fan:
    """A layer's line above and its first and last line below, two of (B, 1, *in) each, and the block before the layer."""

    block: AffineBlock
    above: tuple[Tensor, Tensor]
    first: tuple[Tensor, Tensor]
    last: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, block: AffineBlock, activation: Operator, interval: Box) -> "Fan":
        """The fan of a layer whose inputs lie in the interval."""
        floor, ceiling = activation.rule.lines(activation, *interval)
        above, first, last = ((slope[:, None], offset[:, None]) for slope, offset in (ceiling[0], floor[0], floor[-1]))
        return cls(block, above, first, last)

    def below(self, function: Rows, share: Tensor) -> Rows:
        """Functions of the block's input below ``function`` of the layer's output; ``share`` (B, K, *in) of the last line."""
        positive, negative = function.rows.clamp(min=0), function.rows.clamp(max=0)
        slope, offset = (
            torch.lerp(*pair, share)
            for pair in zip(self._like(self.first, share), self._like(self.last, share), strict=True)
        )
        rows = positive * slope + negative * self.above[0]
        added = (positive * offset + negative * self.above[1]).flatten(2).sum(2)
        return Rows(rows, function.constant + added).through_block(self.block)

    @staticmethod
    def _like(line: tuple[Tensor, Tensor], share: Tensor) -> tuple[Tensor, Tensor]:
        return line[0].expand_as(share), line[1].expand_as(share)


def ascended(
    chain: Chain, function: Rows, layers: LayerBounds, x: Tensor, threat: Oracles, value: Tensor, steps: int
) -> Tensor:
    """``value`` (B, K), raised by slopes of their own for the rows of examples that it leaves open."""
    index = (value.detach() <= 0).any(1).nonzero().squeeze(1)
    if not len(index) or not chain.hidden:
        return value
    intervals = [(lower[index], upper[index]) for lower, upper in layers.bounds]
    fans = [Fan.of(*hidden, interval) for hidden, interval in zip(chain.hidden, intervals, strict=True)]
    problem = Ascent(Rows(function.rows[index], function.constant[index]), fans, x[index], threat.select(index))
    found = problem.value(problem.search(steps))
    return value.index_put((index,), torch.maximum(value[index], found))


@attrs.frozen(eq=False)
class Ascent:
    """The bound of rows on the last block's input as a function of the shares, one tensor (B, K, *in) a layer."""

    function: Rows
    fans: Sequence[Fan]
    x: Tensor
    threat: Oracles

    def value(self, shares: Sequence[Tensor]) -> Tensor:
        """The bound, (B, K)."""
        function = self.function
        for fan, share in zip(reversed(self.fans), reversed(shares), strict=True):
            function = fan.below(function, share)
        return close(function, self.x) - self.threat.support(-function.rows, self.x)

    def search(self, steps: int) -> list[Tensor]:
        """The best shares that so many steps of ascent find, each row by itself."""
        fixed = self._detached()
        shares = [fixed.start(fan).requires_grad_() for fan in fixed.fans]
        best, highest = [share.detach().clone() for share in shares], None
        optimizer = torch.optim.Adam(shares, lr=_STEP)
        for step in range(steps):
            with torch.enable_grad():
                value = fixed.value(shares)
                gradients = torch.autograd.grad(-value.sum(), shares)
            highest = _keep(best, highest, shares, value.detach())
            for share, gradient in zip(shares, gradients, strict=True):
                share.grad = gradient
            optimizer.param_groups[0]["lr"] = _STEP * (_LAST / _STEP) ** (step / steps)
            optimizer.step()
            with torch.no_grad():
                for share in shares:
                    share.clamp_(0, 1)
        return best

    def start(self, fan: Fan) -> Tensor:
        """Halfway between the lines for every row, (B, K, *in)."""
        count = self.function.rows.shape[1]
        return torch.full_like(fan.first[0], 0.5).repeat_interleave(count, dim=1)

    def _detached(self) -> "Ascent":
        rows = Rows(self.function.rows.detach(), self.function.constant.detach())
        fans = [
            Fan(fan.block, *((slope.detach(), offset.detach()) for slope, offset in (fan.above, fan.first, fan.last)))
            for fan in self.fans
        ]
        return Ascent(rows, fans, self.x, self.threat)


def _keep(best: list[Tensor], highest: Tensor | None, shares: Sequence[Tensor], value: Tensor) -> Tensor:
    """Moves the rows whose value is higher than before into ``best``; returns the highest values, (B, K)."""
    if highest is None:
        return value
    better = value > highest
    for kept, share in zip(best, shares, strict=True):
        kept[better] = share.detach()[better]
    return torch.maximum(value, highest)
