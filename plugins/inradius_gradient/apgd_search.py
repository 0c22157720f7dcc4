"""APGD's runs over a batch, and the best perturbation of each example."""

from collections.abc import Iterator
from math import ceil

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, Objective, Observer
from inradius.attacks.ascent import gradient_of
from inradius.attacks.best_so_far import BestSoFar
from inradius_gradient.apgd_climb import Climb
from inradius_gradient.apgd_momentum import Momentum
from inradius_gradient.apgd_sparse import Sparse

# Croce and Hein 2021, sec. 3.4: the first two runs are around larger sets, each with a share of the steps
_LARGER = ((3.0, 0.3), (2.0, 0.3))


class Search:
    """Runs of APGD, which keep each example's best perturbation so far.

    An example that is misclassified keeps the perturbation that did it and is dropped, unless ``keep_maximising``. Any other
    one keeps the perturbation of the largest objective. An iterate that is not misclassified counts at the end of its run alone,
    so that batch mates do not say which of several iterates with equal objectives is kept.
    """

    def __init__(
        self,
        whole: AttackBatch,
        objective: Objective,
        *,
        steps: int,
        large_radii: bool,
        keep_maximising: bool,
        observe: Observer | None = None,
    ) -> None:
        self._objective = objective
        self._steps = steps
        self._large_radii = large_radii
        self._keep_maximising = keep_maximising
        # the classes that the objective leads to in this run
        self._target: Tensor | None = None
        self._found = BestSoFar(whole, observe)

    @property
    def best(self) -> Tensor:
        """The best perturbations so far, (B, *S)."""
        return self._found.best

    @torch.no_grad()
    def clean(self, classes: int = 0) -> Tensor:
        """Judges the inputs as they are; the ``classes`` wrong classes that look best there, (B, A)."""
        whole = self._found.whole
        logits = whole.model(whole.x)
        targets = logits.new_empty((len(whole), 0), dtype=torch.int64)
        values = [self._objective.score(logits, whole.y, whole.goal, whole.model.targets)]
        if classes:
            targets = _best_wrong(logits, whole.y, classes) if whole.goal is None else whole.goal[:, None]
            values = [self._objective(logits, whole.y, target) for target in targets.unbind(1)]
        self._found.record(whole, self.best, torch.stack(values).amax(0))
        self._drop(whole, self.best, logits)
        return targets

    @torch.no_grad()
    def run(self, branch: int, *, start: Tensor | None = None, target: Tensor | None = None) -> None:
        """A run for the examples that are left, over each part of a union, from ``start`` (B, *S) or a random point.

        ``target`` (B,) are classes that the objective leads to, although any wrong one will do.
        """
        self._target = target
        members = len(self._found.whole.threat.members())
        for place in range(members):
            part = self._found.survivors()
            if not len(part):
                return
            threat, rng = part.threat.members()[place], part.rng.fork(branch * members + place)
            part = attrs.evolve(part, threat=threat, rng=rng)
            self._approach(part, None if start is None else part.threat.project(start[part.rows], part.x))

    def _approach(self, part: AttackBatch, delta: Tensor | None) -> None:
        """A run around the set, for sparse steps after those around larger sets, each from where the last one was best."""
        left = self._steps
        for factor, steps in _stages(self._steps) if self._large_radii and part.threat.sparse else ():
            delta, left = self._climb(_around(part, factor), delta, steps, counts=False), left - steps
        self._climb(part, delta, left, counts=True)

    def _climb(self, part: AttackBatch, start: Tensor | None, steps: int, *, counts: bool) -> Tensor:
        """The best iterates of a run, (n, *S); those that are misclassified are dropped where it ``counts``."""
        climb = _start(part, start, steps)
        for step in range(steps + 1):
            delta = climb.move() if step else climb.delta
            self._found.show(climb.part, delta)
            point = delta.detach().requires_grad_(step < steps)
            with torch.set_grad_enabled(step < steps):
                logits, value = self._score(climb.part, point)
            alive = self._drop(climb.part, delta, logits.detach()) if counts else None
            if alive is not None and not len(alive):
                break
            gradient = gradient_of(value, point) if step < steps else None
            value = value.detach()
            if alive is not None and len(alive) < len(delta):
                climb.take(alive)
                delta, value, gradient = delta[alive], value[alive], None if gradient is None else gradient[alive]
            climb.arrive(step, delta, value, gradient)
        else:
            if counts:
                self._found.record(climb.part, climb.best_delta, climb.best_value)
        return climb.best_delta

    def _score(self, part: AttackBatch, delta: Tensor) -> tuple[Tensor, Tensor]:
        logits = part.model(part.x + delta)
        goal = part.goal if self._target is None else self._target[part.rows]
        return logits, self._objective.score(logits, part.y, goal, part.model.targets)

    def _drop(self, part: AttackBatch, delta: Tensor, logits: Tensor) -> Tensor | None:
        """Keeps what is misclassified; the places in ``part`` of the examples that are left, None for all."""
        if self._keep_maximising:
            return None
        fooled = part.misclassified(logits)
        if not bool(fooled.any()):
            return None
        self._found.finish(part, delta, fooled)
        return (~fooled).nonzero().squeeze(1)


def _start(part: AttackBatch, start: Tensor | None, steps: int) -> Climb:
    threat, x = part.threat, part.x
    delta = threat.sample(x, rng=part.rng) if start is None else threat.project(start, x)
    if part.threat.sparse:
        return Sparse.start(steps, part, delta, cold=start is None)
    return Momentum.start(steps, part, delta)


def _around(part: AttackBatch, factor: float) -> AttackBatch:
    """The same examples with a set of another radius."""
    return attrs.evolve(part, threat=part.threat.scaled(factor))


def _stages(steps: int) -> Iterator[tuple[float, int]]:
    """The larger radii, with the steps around each; one at least is left for the set itself."""
    for factor, share in _LARGER if steps > len(_LARGER) else ():
        yield factor, min(ceil(share * steps), max(1, steps // 3))


def _best_wrong(logits: Tensor, y: Tensor, count: int) -> Tensor:
    """The wrong classes of the largest logits in order, (n, C), (n,) -> (n, count), or fewer where there are fewer."""
    wrong = logits.scatter(1, y[:, None], -torch.inf)
    return wrong.topk(min(count, logits.shape[1] - 1), dim=1).indices
