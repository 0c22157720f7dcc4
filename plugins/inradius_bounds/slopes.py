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
from inradius_bounds.trace import Chain
from inradius_bounds.windows import WindowRows, stays_small

# the first step, as a share of the way between the two lines, and what it falls to
_STEP, _LAST = 0.25, 0.02


Function = Rows | WindowRows


@attrs.frozen(eq=False)
class Fan:
    """A layer's line above and its first and last line below, two of (B, 1, *in) each, and the block before the layer.

    Cut to windows, the lines are those that each row sees, (B, K, n), and shares are as well.
    """

    block: AffineBlock
    above: tuple[Tensor, Tensor]
    first: tuple[Tensor, Tensor]
    last: tuple[Tensor, Tensor]

    @property
    def whole(self) -> bool:
        """Whether the lines are those of the whole layer, for every row the same."""
        return self.above[0].shape[1] == 1 and self.above[0].shape[2:] == self.block.out_shape

    @classmethod
    def of(cls, block: AffineBlock, activation: Operator, interval: Box) -> "Fan":
        """The fan of a layer whose inputs lie in the interval."""
        floor, ceiling = activation.rule.lines(activation, *interval)
        above, first, last = ((slope[:, None], offset[:, None]) for slope, offset in (ceiling[0], floor[0], floor[-1]))
        return cls(block, above, first, last)

    def select(self, index: Tensor) -> "Fan":
        """The lines of a part of the examples."""
        lines = ((slope[index], offset[index]) for slope, offset in (self.above, self.first, self.last))
        return Fan(self.block, *lines)

    def cut(self, rows: WindowRows) -> "Fan":
        """The fan as rows of windows on the layer's output see it."""
        lines = ((rows.at(slope[:, 0]), rows.at(offset[:, 0])) for slope, offset in (self.above, self.first, self.last))
        return Fan(self.block, *lines)

    def below(self, function: Function, share: Tensor) -> Function:
        """Functions of the block's input below ``function`` of the layer's output; ``share`` (B, K, *in) of the last line."""
        entries = function.rows.view_as(share)
        positive, negative = entries.clamp(min=0), entries.clamp(max=0)
        slope = self.first[0] + share * (self.last[0] - self.first[0])
        offset = self.first[1] + share * (self.last[1] - self.first[1])
        rows = positive * slope + negative * self.above[0]
        added = (positive * offset + negative * self.above[1]).flatten(2).sum(2)
        below = attrs.evolve(function, rows=rows.view_as(function.rows), constant=function.constant + added)
        return below.through_block(self.block)


def ascended(
    chain: Chain,
    function: Function,
    intervals: Sequence[Box],
    x: Tensor,
    threat: Oracles,
    steps: int,
    *,
    goal: float = 0.0,
) -> Tensor:
    """Lower bounds of functions of the output of the layer behind the last interval, with slopes of their own, (B, K).

    An example is done as soon as all of its rows are above ``goal``.
    """
    fans = [Fan.of(*hidden, interval) for hidden, interval in zip(chain.hidden, intervals, strict=False)]
    problem = Ascent(function, _cut(chain, fans, function), x, threat)
    return problem.value(problem.search(steps, goal))


def _cut(chain: Chain, fans: list[Fan], function: Function) -> list[Fan]:
    """The fans, those cut to windows that rows of windows pass before they have grown as large as a layer."""
    found, level = list(fans), len(fans)
    while isinstance(function, WindowRows) and level and stays_small(chain, level, function):
        level -= 1
        found[level] = fans[level].cut(function)
        function = function.through_block(fans[level].block)
    return found


@attrs.frozen(eq=False)
class Ascent:
    """The bound of rows on the last block's input as a function of the shares, one tensor (B, K, *in) a layer."""

    function: Function
    fans: Sequence[Fan]
    x: Tensor
    threat: Oracles

    def value(self, shares: Sequence[Tensor]) -> Tensor:
        """The bound, (B, K)."""
        function = self.function
        for fan, share in zip(reversed(self.fans), reversed(shares), strict=True):
            if isinstance(function, WindowRows) and fan.whole:
                function = function.dense(fan.block.out_shape)
            function = fan.below(function, share)
        final = function.dense(self.x.shape[1:]) if isinstance(function, WindowRows) else function
        return close(final, self.x) - self.threat.support(-final.rows, self.x)

    def search(self, steps: int, goal: float = 0.0) -> list[Tensor]:
        """The best shares that so many steps of ascent find, each row by itself; an example above ``goal`` stops."""
        best = [self._start(fan) for fan in self.fans]
        left = torch.arange(len(self.x), device=self.x.device)
        problem, run = self._detached(), Run([share.clone() for share in best])
        highest = torch.full_like(self.function.constant, -torch.inf).detach()
        for step in range(steps):
            value, gradients = problem.ascent(run.shares)
            better = value > highest[left]
            for kept, share in zip(best, run.shares, strict=True):
                kept[left] = torch.where(_wide(better, share), share, kept[left])
            highest[left] = torch.maximum(highest[left], value)
            going = (highest[left] <= goal).any(1).nonzero().squeeze(1)
            if not len(going):
                break
            if len(going) < len(left):
                problem, left, gradients = problem.select(going), left[going], [each[going] for each in gradients]
                run = run.select(going)
            run.move(gradients, _STEP * (_LAST / _STEP) ** (step / steps))
        return best

    def ascent(self, shares: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        """The bound and its gradient in the shares."""
        shares = [share.detach().requires_grad_() for share in shares]
        with torch.enable_grad():
            value = self.value(shares)
            return value.detach(), torch.autograd.grad(value.sum(), shares)

    def select(self, index: Tensor) -> "Ascent":
        """The problem of a part of the examples."""
        function = self.function.select(index)
        return Ascent(function, [fan.select(index) for fan in self.fans], self.x[index], self.threat.select(index))

    def _start(self, fan: Fan) -> Tensor:
        """Halfway between the lines for every row, (B, K, *in)."""
        examples, count = self.function.constant.shape
        return fan.first[0].new_full((examples, count, *fan.first[0].shape[2:]), 0.5)

    def _detached(self) -> "Ascent":
        rows = attrs.evolve(self.function, rows=self.function.rows.detach(), constant=self.function.constant.detach())
        fans = [
            Fan(fan.block, *((slope.detach(), offset.detach()) for slope, offset in (fan.above, fan.first, fan.last)))
            for fan in self.fans
        ]
        return Ascent(rows, fans, self.x, self.threat)


class Run:
    """Shares on their way, by Adam; written out, so that examples can leave. Source: kingma2015."""

    def __init__(self, shares: list[Tensor]) -> None:
        self.shares = shares
        self._mean = [torch.zeros_like(share) for share in shares]
        self._square = [torch.zeros_like(share) for share in shares]
        self._count = 0

    def move(self, gradients: Sequence[Tensor], rate: float) -> None:
        """One step of ascent within [0, 1]."""
        self._count += 1
        for place, gradient in enumerate(gradients):
            mean = self._mean[place].lerp_(gradient, 0.1)
            square = self._square[place].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            size = (square / (1 - 0.999**self._count)).sqrt_().add_(1e-8)
            self.shares[place] = (self.shares[place] + rate / (1 - 0.9**self._count) * mean / size).clamp_(0, 1)

    def select(self, index: Tensor) -> "Run":
        """The run of a part of the examples."""
        part = Run([share[index] for share in self.shares])
        part._mean, part._square = [each[index] for each in self._mean], [each[index] for each in self._square]
        part._count = self._count
        return part


def _wide(rows: Tensor, like: Tensor) -> Tensor:
    """A flag for each row, for the whole of the row, (B, K) -> (B, K, 1, ...)."""
    return rows.view(*rows.shape, *(1,) * (like.ndim - 2))
