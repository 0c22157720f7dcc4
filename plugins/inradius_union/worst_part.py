"""The worst of independent attacks on the parts of a union."""

import inspect
from collections.abc import Iterator
from functools import partial
from itertools import count

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import Attack, CrossEntropy, Objective, Oracles, Streams, Subject, UnsupportedError
from inradius.ascent import Part
from inradius.attack import Observer
from inradius.threat import expand
from inradius.validators import component, flag


@attrs.frozen(kw_only=True)
class WorstPart(Attack):
    """The worst perturbation of each example among the answers of one attack, run on every part of a union by itself.

    An example that is fooled on one part is not attacked on the next ones, and keeps that answer; with
    ``keep_maximising`` every part is attacked and the largest objective counts alone. Both ``keep_maximising`` and
    ``objective`` are the attack's own where they are None (False and the cross-entropy for an attack that has none).
    An answer outside of its part counts as none. Training on it is "MAX" in the literature.
    Source: tramer2019.
    """

    positional = ("attack",)

    attack: Attack = attrs.field(validator=component(Attack))
    objective: Objective | None = attrs.field(default=None, validator=optional(component(Objective)))
    keep_maximising: bool | None = attrs.field(default=None, validator=optional(flag))

    def perturb(
        self,
        model: Subject,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        rng: Streams,
        *,
        start: Tensor | None = None,
        observe: Observer | None = None,
        goal: Tensor | None = None,
    ) -> Tensor:
        self._check_goal_reaches(goal)
        # the attack's seed counts beside this one's
        whole = Part.whole(model, x, y, threat, rng.fork(self.attack.seed), goal)
        worst, value = torch.zeros_like(x), x.new_full((len(x),), -torch.inf)
        left, numbers = whole.rows, count()
        for place in range(len(threat.parts())):
            part = whole.take(left)
            if not len(part):
                break
            watch = None if observe is None else partial(_show, observe, numbers, worst, left)
            delta = self._answer(part, place, None if start is None else start[left], watch)
            with torch.no_grad():
                logits, found = part.score(delta, self._objective)
            fooled = part.fooled(logits) & (not self._keeps_maximising)
            better = (found > value[left]) | fooled
            worst[left] = torch.where(expand(better, delta), delta, worst[left])
            value[left] = torch.where(better, found.to(value), value[left])
            left = left[~fooled]
        return worst

    def _answer(self, part: Part, place: int, start: Tensor | None, observe: Observer | None) -> Tensor:
        """The attack's answer on one part, 0 where it lies outside, (n, *S)."""
        member, rng = part.threat.parts()[place], part.rng.fork(place)
        options = {} if part.goal is None else {"goal": part.goal}
        found = self.attack.perturb(
            part.model, part.x.clone(), part.y.clone(), member, rng, start=start, observe=observe, **options
        ).detach()
        inside = member.contains(found, part.x) & found.isfinite().flatten(1).all(1)
        return torch.where(expand(inside, found), found, torch.zeros_like(found))

    @property
    def _objective(self) -> Objective:
        own = self.objective or getattr(self.attack, "objective", None)
        return own if isinstance(own, Objective) else CrossEntropy()

    @property
    def _keeps_maximising(self) -> bool:
        if self.keep_maximising is not None:
            return self.keep_maximising
        return bool(getattr(self.attack, "keep_maximising", False))

    def _check_goal_reaches(self, goal: Tensor | None) -> None:
        if goal is not None and "goal" not in inspect.signature(self.attack.perturb).parameters:
            raise UnsupportedError(f"{self} cannot aim at a class: the perturb of {self.attack} has no parameter goal")


def _show(observe: Observer, numbers: Iterator[int], worst: Tensor, rows: Tensor, _: int, delta: Tensor) -> None:
    """Shows an iterate of the examples in ``rows`` as one of the whole batch, numbered through all parts."""
    shown = worst.clone()
    shown[rows] = delta
    observe(next(numbers), shown)
