"""Counted queries of predictions, and the closest adversarial perturbations, for attacks that use only predictions."""

import torch
from torch import Tensor

from inradius import AttackBatch, Observer
from inradius.attacks.best_so_far import BestSoFar
from inradius.sets.lengthen import lengthen

# how many numbers the images of one call may hold
_BLOCK = 1 << 22
# as membership forgives
_FORGIVEN = 1e-5


class Decisions:
    """Queries predictions, at most ``queries`` per example, including the one that judges the final answer.

    ``best`` (B, *S) has each example's adversarial perturbation of the smallest gauge, 0 where none was found, and
    ``gauge`` (B,) its gauge, infinite there. Only queried perturbations are kept.
    """

    def __init__(self, whole: AttackBatch, queries: int, observe: Observer | None = None) -> None:
        self.whole = whole
        # BestSoFar keeps the largest value, so the value is −gauge
        self._found = BestSoFar(whole, observe)
        # one query is reserved for ``answer``, which tests the lengthened perturbation
        self._spare = int(queries > 2)
        self.left = torch.full_like(whole.rows, queries - 1 - self._spare)

    @property
    def best(self) -> Tensor:
        """The perturbations, (B, *S)."""
        return self._found.best

    @property
    def gauge(self) -> Tensor:
        """Their gauges, (B,)."""
        return -self._found.value

    @property
    def found(self) -> Tensor:
        """True where an example has an adversarial perturbation, (B,)."""
        return self.gauge < torch.inf

    def survivors(self, *, least: int = 1) -> AttackBatch:
        """The examples that have at least so many queries left and no adversarial perturbation of gauge 0."""
        return self.whole.take(((self.left >= least) & (self.gauge > 0)).nonzero().squeeze(1))

    def ask(self, part: AttackBatch, delta: Tensor) -> Tensor:
        """True where x + δ is misclassified, or has the goal's prediction; False where no query is left, (n, *S) -> (n,)."""
        fooled = torch.zeros(len(part), dtype=torch.bool, device=delta.device)
        able = (self.left[part.rows] > 0).nonzero().squeeze(1)
        if not len(able):
            return fooled
        some = part if len(able) == len(part) else part.take(able)
        self.left[some.rows] -= 1
        fooled[able] = misclassified(some, some.model(some.x + delta[able]))
        self._record(part, delta, fooled)
        return fooled

    def ask_many(self, part: AttackBatch, deltas: Tensor) -> Tensor:
        """True where each of several perturbations is misclassified; the examples must have the queries, (n, K, *S) -> (n, K)."""
        self.left[part.rows] -= deltas.shape[1]
        at_once = max(1, _BLOCK // max(1, part.x.numel()))
        return torch.cat([self._several(part, block) for block in torch.split(deltas, at_once, dim=1)], dim=1)

    def _several(self, part: AttackBatch, deltas: Tensor) -> Tensor:
        images = (part.x[:, None] + deltas).flatten(0, 1)
        logits = part.model.each(deltas.shape[1])(images).view(*deltas.shape[:2], -1)
        return torch.stack([misclassified(part, one) for one in logits.unbind(1)], dim=1)

    def _record(self, part: AttackBatch, delta: Tensor, fooled: Tensor) -> None:
        hits = fooled.nonzero().squeeze(1)
        if not len(hits):
            return
        hit, found = part.take(hits), delta[hits]
        gauge = hit.threat.gauge(found, hit.x).to(self._found.value)
        # hard constraints that do not hold make an answer worthless, however near it is
        kept = hit.threat.violation(found, hit.x) <= _FORGIVEN
        self._found.record(hit, found, torch.where(kept, -gauge, -torch.inf))

    def answer(self) -> Tensor:
        """The best perturbations, (B, *S). Each is lengthened by up to 0.1 % if the lengthened one is also misclassified.

        They lie next to the decision boundary, where rounding may decide the prediction. With at most two ``queries`` none is
        lengthened.
        """
        part = self.whole.take((self.found & (self.gauge > 0)).nonzero().squeeze(1))
        if self._spare and len(part):
            longer = lengthen(part.threat, self.best[part.rows], part.x)
            fooled = misclassified(part, part.model(part.x + longer))
            self.best[part.rows[fooled]] = longer[fooled]
        return self.best

    def show(self) -> None:
        """Shows the best perturbations so far."""
        self._found.show(self.whole, self.best)


def misclassified(part: AttackBatch, logits: Tensor) -> Tensor:
    """True where the predicted class is not the label, or with goals where it is the goal, (n, C) -> (n,).

    Only the predicted class is used.
    """
    predicted = logits.argmax(1)
    return predicted != part.y if part.goal is None else predicted == part.goal
