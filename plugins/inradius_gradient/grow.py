"""The smallest radius at which an attack succeeds, found by growing the set."""

from collections.abc import Iterator
from typing import Any

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import Attack, AttackBatch, Observer
from inradius.attacks.composite import WrappingAttack, misclassified
from inradius.attacks.observer import BatchObserver
from inradius.components.validators import as_float, component, count, positive
from inradius.sets.examples import expand
from inradius_gradient.pgd import PGD


@attrs.frozen(kw_only=True)
class Grow(WrappingAttack):
    """The perturbation of each example at the smallest radius start · factor^k, in radii of Δ(x), that misclassifies it.

    An attack takes ``every`` steps at each radius, ``steps`` in all, each stage from where the last one ended; an example
    that is misclassified is done. The radius may pass that of Δ(x): such an answer tells the radius, but is no success. It stops
    growing at ``limit``; up to a limit of 1 every answer is a point of Δ(x), as training asks. An example that stays right
    keeps the last perturbation within Δ(x). ``every`` takes the place of the attack's own ``steps``; one that draws its
    start at random does so in the first stage alone.
    Source: wong2019, sec. 5.
    """

    attack: Attack = attrs.field(factory=lambda: PGD(random_start=False), validator=component(Attack))
    # Wong et al. 2019, MNIST: ε = 0.3 first, times 1.1 every 10 of 200 steps (CIFAR-10: 0.001, 1.17, 400 steps)
    start: float = attrs.field(default=0.3, validator=positive, converter=as_float)
    factor: float = attrs.field(default=1.1, converter=as_float)
    every: int = attrs.field(default=10, validator=count)
    steps: int = attrs.field(default=200, validator=count)
    limit: float | None = attrs.field(default=None, validator=optional(positive), converter=as_float)

    @property
    def minimal(self) -> bool:  # type: ignore[override]
        return self.limit is None or self.limit > 1

    @factor.validator
    def _check_growth(self, _: object, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, float) or not 1 < value < float("inf"):
            raise ValueError(f"factor={value!r} does not grow; allowed is a finite number > 1")

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        # the attack's seed counts beside this one's
        whole = attrs.evolve(batch, rng=batch.rng.fork(self.attack.seed))
        kept, shown = torch.zeros_like(batch.x), BatchObserver(observe)
        left = whole.rows[~misclassified(whole, kept)]
        last = None if batch.start is None else batch.start[left]
        for stage, (radius, attack) in enumerate(self._stages()):
            part = whole.take(left)
            if not len(part):
                break
            part = attrs.evolve(part, threat=part.threat.scaled(radius), rng=part.rng.fork(stage), start=last)
            last, inside = attack.answer(part, observe=shown.of(kept, left))
            done = misclassified(part, last) & inside
            kept[left] = torch.where(expand(done | (inside & (radius <= 1)), last), last, kept[left])
            left, last = left[~done], last[~done]
        return kept

    def _stages(self) -> Iterator[tuple[float, Attack]]:
        """The radii, with the attack at each."""
        for stage, done in enumerate(range(0, self.steps, self.every)):
            radius = self.start * self.factor**stage
            grown = radius if self.limit is None else min(radius, self.limit)
            yield grown, _stepping(self.attack, min(self.every, self.steps - done))


def _stepping(attack: Attack, steps: int) -> Attack:
    """The attack with as many steps, if it makes steps."""
    changes: dict[str, Any] = {"steps": steps} if "steps" in attrs.fields_dict(type(attack)) else {}
    return attrs.evolve(attack, **changes)
