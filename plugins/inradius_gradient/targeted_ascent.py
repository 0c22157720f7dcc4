"""One ascent for each of several wrong classes of every example, all of them together."""

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, Observer
from inradius.attacks.ascent import gradient_of
from inradius.attacks.best_so_far import BestSoFar
from inradius.attacks.objective import class_margin, logit_difference
from inradius_gradient.optimizer_steps import OptimizerSteps

# How many numbers of inputs a pass through the model may hold; one class of every example at least.
_PASS = 1 << 20


@attrs.frozen(eq=False, kw_only=True)
class TargetedPairs:
    """Examples paired with classes they are driven to, class by class: pair a · n + i is example i with its class a.

    ``each`` has the examples repeated for every class, and ``target`` (A · n,) the classes; the model of ``part`` is asked.
    """

    part: AttackBatch
    each: AttackBatch
    target: Tensor

    @classmethod
    def of(cls, part: AttackBatch, targets: Tensor) -> "TargetedPairs":
        """Every example of the part with each of its classes, (n, A)."""
        index = torch.arange(len(part), device=targets.device).repeat(targets.shape[1])
        return cls(part=part, each=part.take(index), target=targets.mT.flatten())

    def __len__(self) -> int:
        return len(self.each)

    def keep(self, alive: Tensor) -> tuple["TargetedPairs", Tensor]:
        """The pairs of the examples in ``alive``, places in the part, and where these stood."""
        count = len(self) // len(self.part)
        index = (torch.arange(count, device=alive.device)[:, None] * len(self.part) + alive).flatten()
        return TargetedPairs(part=self.part.take(alive), each=self.each.take(index), target=self.target[index]), index

    def logits(self, delta: Tensor) -> Tensor:
        """The logits of every pair at its perturbation, (A · n, C)."""
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
        with torch.enable_grad():
            logits = self._ask(point, rows)
            goal = each.goal
            # with a goal, every other class is in its way, not the label alone
            ahead = (
                logit_difference(logits, each.y[rows], self.target[rows])
                if goal is None
                else class_margin(logits, goal[rows])
            )
        return logits.detach(), gradient_of(ahead, point)


class TargetedAscent:
    """Ascent towards several classes of each example, which keeps the best perturbation by its margin against the label.

    An example that is misclassified keeps the perturbation that did it and is dropped with all of its classes, unless
    ``keep_maximising``. Of the classes of one step, the one with the largest margin counts.
    """

    def __init__(self, whole: AttackBatch, *, keep_maximising: bool, observe: Observer | None) -> None:
        self._keep_maximising = keep_maximising
        self._found = BestSoFar(whole, observe)

    @property
    def best(self) -> Tensor:
        """The best perturbations so far, (B, *S)."""
        return self._found.best

    def enter_clean(self) -> Tensor:
        """The logits of the images themselves, which count too, (B, C)."""
        whole = self._found.whole
        alone = TargetedPairs.of(whole, whole.y[:, None])
        logits = alone.logits(self.best)
        self._enter(alone, self.best, logits)
        return logits

    def survivors(self) -> AttackBatch:
        """The examples that are still attacked."""
        return self._found.survivors()

    def run(self, part: AttackBatch, targets: Tensor, delta: Tensor, *, count: int, steps: OptimizerSteps) -> None:
        """Makes ``count`` steps from ``delta`` (A · n, *S) towards each of the classes ``targets`` (n, A)."""
        pairs = TargetedPairs.of(part, targets)
        for step in range(count):
            logits, gradient = pairs.ascent(delta)
            alive = self._enter(pairs, delta, logits, show=True)
            if not len(alive):
                return
            if len(alive) < len(pairs.part):
                pairs, index = pairs.keep(alive)
                delta, gradient = delta[index], gradient[index]
                steps.take(index)
            moved = delta + steps.step(step, gradient, delta, pairs.each)
            delta = pairs.each.threat.project(moved, pairs.each.x).detach()
        self._enter(pairs, delta, pairs.logits(delta), show=True)

    def _enter(self, pairs: TargetedPairs, delta: Tensor, logits: Tensor, *, show: bool = False) -> Tensor:
        """Keeps what is best; the places in the part of the examples that are still to be attacked."""
        part, each = pairs.part, pairs.each
        value = -class_margin(logits, each.y) if each.goal is None else class_margin(logits, each.goal)
        ahead, which = value.view(-1, len(part)).max(0)
        chosen = which * len(part) + torch.arange(len(part), device=which.device)
        fooled = part.misclassified(logits[chosen])
        best = delta[chosen]
        if show:
            self._found.show(part, best)
        self._found.record(part, best, ahead, None if self._keep_maximising else fooled)
        return self._found.open[part.rows].nonzero().squeeze(1)
