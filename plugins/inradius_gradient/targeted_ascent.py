"""One ascent for each of several wrong classes of every example, all of them together."""

import attrs
import torch
from torch import Tensor

from inradius.attacks.ascent import Part, gradient_of, logit_difference
from inradius.attacks.attack import Observer
from inradius.attacks.objective import class_margin
from inradius.sets.examples import expand
from inradius_gradient.optimizer_steps import Strides

# How many numbers of inputs a pass through the model may hold; one class of every example at least.
_PASS = 1 << 20


@attrs.frozen(eq=False, kw_only=True)
class Pairs:
    """Examples paired with classes they are driven to, class by class: pair a · n + i is example i with its class a.

    ``each`` has the examples repeated for every class, with ``aim`` their classes; it is the model of ``part`` that is asked.
    """

    part: Part
    each: Part

    @classmethod
    def of(cls, part: Part, aims: Tensor) -> "Pairs":
        """Every example of the part with each of its classes, (n, A)."""
        index = torch.arange(len(part), device=aims.device).repeat(aims.shape[1])
        return cls(part=part, each=attrs.evolve(part.take(index), aim=aims.mT.flatten()))

    def __len__(self) -> int:
        return len(self.each)

    def keep(self, alive: Tensor) -> tuple["Pairs", Tensor]:
        """The pairs of the examples in ``alive``, places in the part, and where these stood."""
        count = len(self) // len(self.part)
        index = (torch.arange(count, device=alive.device)[:, None] * len(self.part) + alive).flatten()
        return Pairs(part=self.part.take(alive), each=self.each.take(index)), index

    def logits(self, delta: Tensor) -> Tensor:
        """Those of every pair, (A · n, C)."""
        with torch.no_grad():
            return torch.cat([self._ask(delta[rows], rows) for rows in self._slabs()])

    def ascent(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of every pair, and the gradient of its class's margin, (A · n, C) and (A · n, *S)."""
        found = [self._slab(delta[rows], rows) for rows in self._slabs()]
        logits, gradient = (torch.cat(side) for side in zip(*found, strict=True))
        return logits, gradient

    def _slabs(self) -> tuple[slice, ...]:
        """The pairs of whole classes that go through the model together."""
        size = len(self.part) * max(1, _PASS // max(1, self.part.x.numel()))
        return tuple(slice(first, first + size) for first in range(0, len(self), size))

    def _ask(self, delta: Tensor, rows: slice) -> Tensor:
        # called on a multiple of its examples, the model of the part counts a query for each class
        return self.part.model(self.each.x[rows] + delta)

    def _slab(self, delta: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
        point, each = delta.detach().requires_grad_(), self.each
        assert each.aim is not None
        with torch.enable_grad():
            logits = self._ask(point, rows)
            goal = each.goal
            # with a goal, every other class is in its way, not the label alone
            ahead = (
                logit_difference(logits, each.y[rows], each.aim[rows])
                if goal is None
                else class_margin(logits, goal[rows])
            )
        return logits.detach(), gradient_of(ahead, point)


class Contest:
    """The best perturbation of each example so far, ``best`` (B, *S), by its margin against the label.

    An example that is fooled keeps the perturbation that fooled it and is dropped with all of its classes, unless
    ``keep_maximising``. Of the classes of one step, the one with the largest margin counts.
    """

    def __init__(self, whole: Part, *, keep_maximising: bool, observe: Observer | None) -> None:
        self._whole, self._keep_maximising, self._observe = whole, keep_maximising, observe
        self._seen = 0
        self._open = torch.ones(len(whole), dtype=torch.bool, device=whole.x.device)
        self._value: Tensor | None = None
        self.best = torch.zeros_like(whole.x)

    def enter_clean(self) -> Tensor:
        """The logits of the images themselves, which count too, (B, C)."""
        alone = Pairs.of(self._whole, self._whole.y[:, None])
        logits = alone.logits(self.best)
        self._enter(alone, self.best, logits)
        return logits

    def survivors(self) -> Part:
        """The examples that are still attacked."""
        return self._whole.take(self._open.nonzero().squeeze(1))

    def run(self, part: Part, aims: Tensor, delta: Tensor, *, steps: int, strides: Strides) -> None:
        """``steps`` steps from ``delta`` (A · n, *S) towards each of the classes ``aims`` (n, A)."""
        pairs = Pairs.of(part, aims)
        for step in range(steps):
            logits, gradient = pairs.ascent(delta)
            alive = self._enter(pairs, delta, logits, show=True)
            if not len(alive):
                return
            if len(alive) < len(pairs.part):
                pairs, index = pairs.keep(alive)
                delta, gradient = delta[index], gradient[index]
                strides.take(index)
            moved = delta + strides.step(step, gradient, delta, pairs.each)
            delta = pairs.each.threat.project(moved, pairs.each.x).detach()
        self._enter(pairs, delta, pairs.logits(delta), show=True)

    def _enter(self, pairs: Pairs, delta: Tensor, logits: Tensor, *, show: bool = False) -> Tensor:
        """Keeps what is best; the places in the part of the examples that are still to be attacked."""
        part, each = pairs.part, pairs.each
        value = -class_margin(logits, each.y) if each.goal is None else class_margin(logits, each.goal)
        ahead, which = value.view(-1, len(part)).max(0)
        chosen = which * len(part) + torch.arange(len(part), device=which.device)
        fooled = part.fooled(logits[chosen])
        if self._value is None:
            self._value = ahead.new_full((len(self._whole),), -torch.inf)
        better = ahead > self._value[part.rows]
        if not self._keep_maximising:
            better |= fooled
            self._open[part.rows] = ~fooled
        self._value[part.rows] = torch.where(better, ahead, self._value[part.rows])
        if show:
            self._show(part, delta[chosen])
        self.best[part.rows] = torch.where(expand(better, delta), delta[chosen], self.best[part.rows])
        return self._open[part.rows].nonzero().squeeze(1)

    def _show(self, part: Part, delta: Tensor) -> None:
        if self._observe is not None:
            shown = self.best.clone()
            shown[part.rows] = delta
            self._observe(self._seen, shown)
            self._seen += 1
