"""The Boundary attack: a random walk along the boundary, towards the input."""

import math
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, Observer
from inradius.components.validators import count, positive
from inradius.sets.examples import expand
from inradius_blackbox.decisions import Decisions
from inradius_blackbox.feasible_box import far, feasible_box_of
from inradius_blackbox.starts import begin, closer

# bisections at the beginning and at the end
_PASSES = 12
# every so many steps the walk asks for the sphere's point as well, and after so many answers it adapts
_EVERY = 5
_ANSWERS = 10
# an example is left alone when its step towards the input is so short
_SMALLEST = 1e-7


@attrs.frozen(kw_only=True)
class Boundary(Attack):
    """The adversarial perturbation of the smallest gauge that it finds, from predictions alone.

    Each step walks at random on the sphere around x through the current point, then towards x, and is taken where it is
    adversarial. The length of the walk grows where more than half of the sphere's points are adversarial and shrinks where
    fewer than a fifth are; that of the step towards x where more than a quarter, or fewer than a tenth, of the candidates
    are. It walks by the ℓ2 distance, on every set; a bisection of the set's radius ends it. It starts from the ``start``
    of the call, or from noise of growing radius; an example that no noise misclassifies keeps δ = 0.
    Source: brendel2018.
    """

    aims: ClassVar[bool] = True
    minimal: ClassVar[bool] = True
    black_box: ClassVar[bool] = True

    # as many as the steps of the authors' implementation in foolbox 3, and so are the shares and the factor
    queries: int = attrs.field(default=25000, validator=count)
    sphere_step: float = attrs.field(default=0.01, validator=positive)
    source_step: float = attrs.field(default=0.01, validator=positive)
    factor: float = attrs.field(default=1.5, validator=positive)

    @factor.validator
    def _check_growth(self, _: object, value: float) -> None:
        if value <= 1:
            raise ValueError(f"factor={value!r} does not grow; allowed is a finite number > 1")

    @torch.no_grad()
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        decisions = Decisions(batch, self.queries, observe)
        part, delta = begin(decisions)
        if not len(part):
            return decisions.best
        delta = closer(decisions, part, delta, _PASSES)
        walk = _Walk(self, part, delta)
        for step in range(1, self.queries):
            able = (decisions.left[walk.part.rows] >= _PASSES + 2) & (walk.source >= _SMALLEST)
            if not bool(able.all()):
                walk = walk.take(able.nonzero().squeeze(1))
            if not len(walk.part):
                break
            walk.step(decisions, step)
            decisions.show()
        closer(decisions, part, decisions.best[part.rows], _PASSES)
        return decisions.answer()


class _Walk:
    """The points of the examples of a part, the lengths of their steps, and counts of the last answers."""

    def __init__(self, attack: Boundary, part: AttackBatch, delta: Tensor) -> None:
        self.attack, self.part, self.delta = attack, part, delta
        self.feasible = feasible_box_of(part.threat, part.x)
        self.sphere = delta.new_full((len(part),), attack.sphere_step)
        self.source = delta.new_full((len(part),), attack.source_step)
        # adversarial answers and all answers, of the sphere's points and of the candidates
        self.counts = delta.new_zeros(len(part), 4)

    def take(self, index: Tensor) -> "_Walk":
        """The examples in ``index``."""
        taken = object.__new__(_Walk)
        taken.attack, taken.part, taken.delta = self.attack, self.part.take(index), self.delta[index]
        taken.feasible = self.feasible.take(index)
        taken.sphere, taken.source, taken.counts = self.sphere[index], self.source[index], self.counts[index]
        return taken

    def step(self, decisions: Decisions, number: int) -> None:
        """Takes one step, and adapts the lengths of the next ones."""
        length = self.delta.flatten(1).norm(dim=1)
        around = self._around(length)
        candidate = self._inward(around, length)
        fooled = decisions.ask(self.part, candidate)
        self.counts[:, 2:] += torch.stack([fooled, torch.ones_like(fooled)], dim=1)
        if number % _EVERY == 0:
            self.counts[:, 0] += decisions.ask(self.part, around)
            self.counts[:, 1] += 1
            self._adapt()
        nearer = fooled & (candidate.flatten(1).norm(dim=1) < length)
        self.delta = torch.where(expand(nearer, candidate), candidate, self.delta)

    def _around(self, length: Tensor) -> Tensor:
        """A random point of the sphere around x, (n, *S)."""
        shape = tuple(self.delta.shape[1:])
        noise = self.part.rng.normal(shape, dtype=self.delta.dtype).to(self.delta.device).flatten(1)
        unit = self.delta.flatten(1) / length[:, None]
        across = noise - (noise * unit).sum(1, keepdim=True) * unit
        wide = across.norm(dim=1)
        # of a single number nothing but rounding is across
        some = wide > noise.norm(dim=1) * torch.finfo(wide.dtype).eps * 16
        across = across * torch.where(some, self.sphere * length / wide, 0.0)[:, None]
        # back onto the sphere, by Pythagoras
        turned = (self.delta.flatten(1) + across) / (self.sphere.square() + 1).sqrt()[:, None]
        return self._allowed(turned.view_as(self.delta))

    def _inward(self, around: Tensor, length: Tensor) -> Tensor:
        """The point of the sphere, moved towards x by a share of the distance, (n, *S)."""
        there = around.flatten(1).norm(dim=1)
        shrunk = (length * (1 - self.source) / there.clamp(min=torch.finfo(there.dtype).tiny)).clamp(max=1)
        return around * expand(shrunk, around)

    def _allowed(self, delta: Tensor) -> Tensor:
        """The nearest point within the hard constraints, (n, *S)."""
        return self.feasible.nearest(far(self.part.threat), delta, self.part.x)

    def _adapt(self) -> None:
        sphere, source = self.counts[:, 0] / self.counts[:, 1], self.counts[:, 2] / self.counts[:, 3]
        ready = self.counts[:, 1] >= _ANSWERS
        turn = self._change(sphere, ready, 0.2, 0.5)
        self.sphere = self.sphere * turn
        # as in the authors' implementation, a boundary that is flatter, or less, changes both
        self.source = (self.source * turn * self._change(source, ready, 0.1, 0.25)).clamp(max=0.5)
        self.counts[ready] = 0

    def _change(self, share: Tensor, ready: Tensor, low: float, high: float) -> Tensor:
        """The factor of a step's length, from the share of its answers that are adversarial, (n,)."""
        power = (share > high).to(share) - (share < low).to(share)
        return torch.exp(power * ready * math.log(self.attack.factor))
