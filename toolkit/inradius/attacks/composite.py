"""Attacks that hold attacks: running a member on a part of a batch, and keeping the worst of many answers."""

from abc import ABC
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

import attrs
import torch
from torch import Tensor

from inradius.attacks.attack import Attack
from inradius.attacks.attack_batch import AttackBatch
from inradius.attacks.best_so_far import BestSoFar
from inradius.attacks.objective import Objective
from inradius.attacks.observer import Observer
from inradius.attacks.verdict import certain
from inradius.components.validators import component
from inradius.sets.examples import expand


@attrs.frozen(kw_only=True)
class WrappingAttack(Attack, ABC):
    """An attack that holds one other, its field ``attack``; it aims at classes where that one can."""

    aims: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("attack",)

    attack: Attack = attrs.field(validator=component(Attack))

    def inner(self) -> tuple[Attack, ...]:
        return (self.attack,)

    def for_training(self) -> Self:
        changes: dict[str, Any] = {"attack": self.attack.for_training()}
        return attrs.evolve(self, **changes)


def misclassified(part: AttackBatch, delta: Tensor) -> Tensor:
    """True where x + δ is misclassified, or has the goal's prediction, (n, *S) -> (n,); where δ ≠ 0, by more than rounding."""
    with torch.no_grad():
        logits = part.model(part.x + delta)
    moved = (delta != 0).flatten(1).any(1)
    # a tie is wrong on clean inputs
    return torch.where(moved, certain(logits, part.y, part.goal), part.misclassified(logits))


@attrs.frozen(eq=False, kw_only=True)
class MemberRun:
    """One run of a member: on all of Δ(x), or on the member of a union at ``place``, with random numbers of its own.

    It begins at the start of the call where ``begins``.
    """

    attack: Attack
    branch: int
    place: int | None = None
    begins: bool = True

    def of(self, part: AttackBatch) -> AttackBatch:
        """The examples as this run sees them."""
        return attrs.evolve(
            part,
            threat=part.threat if self.place is None else part.threat.members()[self.place],
            # the member's seed counts beside that of the attack that holds it
            rng=part.rng.fork(self.attack.seed).fork(self.branch),
            start=part.start if self.begins else None,
        )


class WorstAnswers:
    """The worst answer of each example among those of many runs, by an objective.

    With ``survivors`` an example that is misclassified keeps the answer that did it, and later runs leave it out. Answers
    outside of the set count as none; with ``smallest`` they count, but only those that are misclassified, and the smallest
    gauge is the worst. The first answer is 0, which is judged too with ``clean``. Runs attack the examples ``left`` (B,) alone,
    by default all.
    """

    def __init__(
        self,
        whole: AttackBatch,
        objective: Objective,
        *,
        survivors: bool,
        smallest: bool = False,
        clean: bool = True,
        left: Tensor | None = None,
        observe: Observer | None = None,
    ) -> None:
        self._objective = objective
        self._survivors, self._smallest = survivors, smallest
        self._found = BestSoFar(whole, observe)
        if left is not None:
            self._found.open = left
        if clean and len(whole):
            self._enter(whole, self._found.best)

    def run(self, runs: Iterable[MemberRun]) -> Tensor:
        """The worst answers after these runs, (B, *S)."""
        for one in runs:
            part = self._found.survivors()
            if not len(part):
                break
            part = one.of(part)
            observe = self._found.shown.of(self._found.best, part.rows)
            delta, inside = one.attack.answer(part, observe=observe)
            counts = expand(inside | self._smallest, delta)
            self._enter(part, torch.where(counts, delta, torch.zeros_like(delta)))
        return self._found.best

    @torch.no_grad()
    def _enter(self, part: AttackBatch, delta: Tensor) -> None:
        logits, value = part.score(delta, self._objective)
        # an attack that comes later may go beyond what is within rounding
        beyond = certain(logits, part.y, part.goal)
        if self._smallest:
            value = torch.where(beyond, -part.threat.gauge(delta, part.x), -torch.inf)
            # less than any that is misclassified for sure, and more than any that is not
            within = part.misclassified(logits) & ~beyond
            value = torch.where(within, -torch.finfo(value.dtype).max, value)
        self._found.record(part, delta, value, beyond & self._survivors)


def each(attacks: Iterable[Attack]) -> Iterator[MemberRun]:
    """A run of each attack on all of Δ(x)."""
    return (MemberRun(attack=attack, branch=branch) for branch, attack in enumerate(attacks))
