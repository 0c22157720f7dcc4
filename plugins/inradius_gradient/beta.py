"""The best targeted attack."""

from typing import Any, ClassVar, Self

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import Attack, AttackBatch, Observer
from inradius.components.validators import as_float, count, flag, positive
from inradius_gradient.optimizer_steps import OptimizerSteps, usual_optimizer
from inradius_gradient.target_classes import target_classes
from inradius_gradient.targeted_ascent import TargetedAscent
from inradius_gradient.torch_steps import OPTIMIZERS

# Robey et al. 2023, sec. 5: 2 / 255 for ε = 8 / 255
_RATE = 0.25
# of 200 MNIST images in l2(2) and l1(10), three classes each, steps of half the radius leave 69 and 65, a quarter 71 and 73
_RATES = {"sgd": 0.5}


def _optimizer(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if value not in OPTIMIZERS:
        raise ValueError(
            f"{field.name}={value!r} is not allowed; allowed are {', '.join(OPTIMIZERS)}, "
            "which treat every coordinate by itself"
        )


@attrs.frozen(kw_only=True)
class BETA(Attack):
    """The best, over the wrong classes j, of δ_j that maximises logit j − logit y over Δ(x) by an optimiser and projections.

    Each class has an ascent of its own, δ_j ← project(optimiser's step from δ_j), all of them together; of all their
    iterates the one with the largest margin over the label is returned. ``optimizer`` is one of torch's; None means
    "rmsprop" where the set is a box (ℓ∞), as its steps move every coordinate alike, and elsewhere "sgd" with the steps of
    steepest ascent. ``rate`` is its learning rate as a share of the radius; None means 0.25, for "sgd" 0.5. An example is
    attacked until an iterate is misclassified, and keeps that iterate; with ``keep_maximising`` every step of every class
    is taken. ``classes`` is the number of wrong classes tried, those that look best to a linear model at x; None means
    all, and ``together`` of them at a time, for the examples that are left. The first run begins at random points of
    Δ(x), one for each class, at δ = 0 without ``random_start``, or at the ``start`` of the call, projected. With goals
    these are the only classes.
    Source: robey2023.
    """

    aims: ClassVar[bool] = True

    # Robey et al. 2023, table 2: 30 steps of RMSprop
    steps: int = attrs.field(default=30, validator=count)
    optimizer: str | None = attrs.field(default=None, validator=optional(_optimizer))
    rate: float | None = attrs.field(default=None, validator=optional(positive), converter=as_float)
    classes: int | None = attrs.field(default=None, validator=optional(count))
    # all wrong classes of ten at once
    together: int = attrs.field(default=9, validator=count)
    restarts: int = attrs.field(default=1, validator=count)
    random_start: bool = attrs.field(default=True, validator=flag)
    keep_maximising: bool = attrs.field(default=False, validator=flag)

    def goes_on(self) -> bool:
        return self.keep_maximising

    def for_training(self) -> Self:
        return attrs.evolve(self, keep_maximising=True)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        ascent = TargetedAscent(batch, keep_maximising=self.keep_maximising, observe=observe)
        if not len(batch):
            return ascent.best
        targets = self._targets(ascent, ascent.enter_clean(), batch)
        first = batch.first_point(random=self.random_start)
        name = self.optimizer or usual_optimizer(batch.threat)
        for restart in range(self.restarts):
            for place, some in enumerate(torch.split(targets, self.together, dim=1)):
                part = ascent.survivors()
                part = attrs.evolve(part, rng=part.rng.fork(restart).fork(place))
                if not len(part):
                    return ascent.best
                known = first[part.rows] if first is not None and restart == 0 else None
                delta = _starts(part, some.shape[1], known)
                steps = OptimizerSteps(name, self.rate or _RATES.get(name, _RATE), len(delta), batch.x)
                ascent.run(part, some[part.rows], delta, count=self.steps, steps=steps)
        return ascent.best

    def _targets(self, ascent: TargetedAscent, clean: Tensor, whole: AttackBatch) -> Tensor:
        """The classes each example is driven to, the best ones first, (B, A)."""
        if whole.goal is not None:
            return whole.goal[:, None]
        ranked = clean.scatter(1, whole.y[:, None], -torch.inf).argsort(dim=1, descending=True, stable=True)[:, :-1]
        if self.classes is None or self.classes >= ranked.shape[1]:
            return ranked
        targets, left = ranked[:, : self.classes].clone(), ascent.survivors()
        if len(left):
            targets[left.rows] = target_classes(left, self.classes)
        return targets


def _starts(part: AttackBatch, classes: int, known: Tensor | None) -> Tensor:
    """A start for each class of each example, class by class, (A · n, *S)."""
    if known is not None:
        return known.repeat(classes, *(1,) * (known.ndim - 1))
    return torch.cat([part.threat.sample(part.x, rng=part.rng.fork(place)) for place in range(classes)])
