"""SPSA: ascent along gradients estimated from differences of scores."""

from typing import ClassVar

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import AttackBatch, ExampleRNG, Margin, Objective, Observer
from inradius.attacks.best_so_far import BestSoFar
from inradius.attacks.maximising_attack import MaximisingAttack
from inradius.components.validators import component, count, flag, positive, share

# how many numbers are drawn for an example at once
_BLOCK = 1 << 15


@attrs.frozen(kw_only=True)
class SPSA(MaximisingAttack):
    """Maximises the objective by δ ← project(δ + step · steepest(mean of gradients)), with estimates for gradients.

    An estimate is the mean of (f(δ + c v) − f(δ − c v)) v / 2c over ``samples`` random signs v, at two queries each; the
    mean over steps forgets by ``momentum``. The paper's Adam scales coordinates one by one, which the set's own step of
    steepest ascent replaces: in ℓ∞ both are the mean's sign, nearly. ``step`` is a share of the radius, 2.5 / steps where
    it is None. An example is attacked until it is misclassified; with ``keep_maximising`` every step is taken. It starts at δ = 0,
    or at the ``start`` of the call, and asks for scores alone.
    Source: uesato2018.
    """

    aims: ClassVar[bool] = True
    black_box: ClassVar[bool] = True

    # 40 · (2 · 64 + 1) is about as many queries as square() has; Uesato et al. 2018 take up to 100 · 8192
    steps: int = attrs.field(default=40, validator=count)
    samples: int = attrs.field(default=64, validator=count)
    # Uesato et al. 2018, appendix
    reach: float = attrs.field(default=0.01, validator=positive)
    # Adam's default
    momentum: float = attrs.field(default=0.9, validator=share)
    step: float | None = attrs.field(default=None, validator=optional(positive))
    objective: Objective = attrs.field(factory=Margin, validator=component(Objective))
    keep_maximising: bool = attrs.field(default=False, validator=flag)

    @torch.no_grad()
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        return _Climb(self, batch, observe).run(batch.first_point(random=False))


class _Climb:
    """Ascent of all examples that are not misclassified yet."""

    def __init__(self, attack: SPSA, whole: AttackBatch, observe: Observer | None) -> None:
        self._attack = attack
        self._found = BestSoFar(whole, observe)

    def run(self, delta: Tensor) -> Tensor:
        """The best perturbations of a run from δ, (B, *S)."""
        attack, part, mean = self._attack, self._found.whole, torch.zeros_like(delta)
        size = 2.5 / attack.steps if attack.step is None else attack.step
        for step in range(attack.steps):
            alive = self._record(part, delta)
            part, delta, mean = part.take(alive), delta[alive], mean[alive]
            if not len(part):
                return self._found.best
            mean = attack.momentum * mean + (1 - attack.momentum) * _estimate(attack, part, delta, part.rng.fork(step))
            steepest = part.threat.steepest(mean, part.x, delta, rng=part.rng)
            delta = part.threat.project(delta + size * steepest, part.x)
        self._record(part, delta)
        return self._found.best

    def _record(self, part: AttackBatch, delta: Tensor) -> Tensor:
        """Keeps what is best; the places in ``part`` of the examples that are still to be attacked."""
        logits, value = part.score(delta, self._attack.objective)
        done = part.misclassified(logits) & (not self._attack.keep_maximising)
        self._found.record(part, delta, value, done)
        self._found.show(part, delta)
        return (~done).nonzero().squeeze(1)


def _estimate(attack: SPSA, part: AttackBatch, delta: Tensor, rng: ExampleRNG) -> Tensor:
    """The mean of two-sided differences along random signs, (n, *S)."""
    found = torch.zeros_like(delta)
    # blocks of a size that batch mates do not change, as each is a draw
    block = max(1, _BLOCK // part.x.shape[1:].numel())
    for first in range(0, attack.samples, block):
        shape = (min(block, attack.samples - first), *part.x.shape[1:])
        signs = torch.where(rng.uniform(shape).to(delta.device) < 0.5, -1.0, 1.0).to(delta)
        ahead, behind = (_values(attack, part, delta[:, None] + side * attack.reach * signs) for side in (1, -1))
        slopes = (ahead - behind) / (2 * attack.reach)
        found += (slopes.view(*slopes.shape, *(1,) * (delta.ndim - 1)) * signs).sum(1)
    return found / attack.samples


def _values(attack: SPSA, part: AttackBatch, deltas: Tensor) -> Tensor:
    """The objective at several perturbations, (n, K, *S) -> (n, K)."""
    logits = part.model.each(deltas.shape[1])((part.x[:, None] + deltas).flatten(0, 1))
    logits = logits.view(*deltas.shape[:2], -1)
    return torch.stack(
        [attack.objective.score(one, part.y, part.goal, part.model.targets) for one in logits.unbind(1)], dim=1
    )
