"""Attacks that hold attacks: running a member on a part of a batch, and keeping the worst of many answers."""

import inspect
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, TypeVar

import attrs
import torch
from torch import Tensor

from inradius.attacks.ascent import Part
from inradius.attacks.attack import Attack, Observer, finite_answer
from inradius.attacks.objective import CrossEntropy, Objective
from inradius.attacks.verdict import certain
from inradius.errors import UnsupportedError
from inradius.sets.examples import expand

A = TypeVar("A", bound=Attack)


def members_of(attack: Attack) -> tuple[Attack, ...]:
    """The attacks that an attack holds as parameters, alone or in tuples; none for a plain one."""
    values = [getattr(attack, field.name) for field in attrs.fields(type(attack))]
    flat = [item for value in values for item in (value if isinstance(value, tuple) else (value,))]
    return tuple(item for item in flat if isinstance(item, Attack))


def is_black_box(attack: Attack) -> bool:
    """Whether an attack asks the model for no gradient; one that holds attacks is black-box where all of these are."""
    members = members_of(attack)
    return attack.black_box or (bool(members) and all(map(is_black_box, members)))


def check_goals(outer: Attack, members: Iterable[Attack], goal: Tensor | None) -> None:
    """Raises ``UnsupportedError`` where there is a goal and a member cannot aim at it."""
    for member in members if goal is not None else ():
        if "goal" not in inspect.signature(member.perturb).parameters:
            raise UnsupportedError(f"{outer} cannot aim at a class: the perturb of {member} has no parameter goal")
        check_goals(outer, members_of(member), goal)


def objective_of(attack: Attack) -> Objective:
    """What an attack maximises, or the one that it holds; the cross-entropy where neither says."""
    own, members = getattr(attack, "objective", None), members_of(attack)
    if isinstance(own, Objective):
        return own
    return objective_of(members[0]) if len(members) == 1 else CrossEntropy()


def keeps_maximising(attack: Attack) -> bool:
    """Whether an attack, or the one that it holds, goes on with an example that is fooled."""
    own, members = getattr(attack, "keep_maximising", None), members_of(attack)
    if own is not None:
        return bool(own)
    return len(members) == 1 and keeps_maximising(members[0])


def maximising(attack: A) -> A:
    """The attack going on with examples that are fooled, and so the attacks that it holds; as it is where it cannot."""
    changes: dict[str, Any] = {}
    for field in attrs.fields(type(attack)):
        value = getattr(attack, field.name)
        if field.name == "keep_maximising" and value is False:
            changes[field.name] = True
        elif isinstance(value, Attack):
            changes[field.name] = maximising(value)
        elif isinstance(value, tuple):
            changes[field.name] = tuple(maximising(item) if isinstance(item, Attack) else item for item in value)
    return attrs.evolve(attack, **changes) if changes else attack


def answer(
    attack: Attack, part: Part, *, start: Tensor | None = None, observe: Observer | None = None
) -> tuple[Tensor, Tensor]:
    """What a member finds for a part of the batch, and whether that lies in the part's set, (n, *S), (n,).

    An answer that is not finite is 0, and does not count as inside.
    """
    options = {} if part.goal is None else {"goal": part.goal}
    # copies, so that what the member writes on them is not judged as the given example
    x, y = part.x.clone(), part.y.clone()
    found = attack.perturb(part.model, x, y, part.threat, part.rng, start=start, observe=observe, **options)
    delta, finite = finite_answer(attack, found.detach(), part.x)
    return delta, part.threat.contains(delta, part.x) & finite


def fooled(part: Part, delta: Tensor) -> Tensor:
    """Whether x + δ has the prediction that is looked for, (n, *S) -> (n,); where δ ≠ 0, by more than rounding."""
    with torch.no_grad():
        logits = part.model(part.x + delta)
    moved = (delta != 0).flatten(1).any(1)
    # a tie is wrong on clean inputs
    return torch.where(moved, certain(logits, part.y, part.goal), part.fooled(logits))


class Show:
    """Shows the iterates of members as those of the whole batch, numbered through all of them."""

    def __init__(self, observe: Observer | None) -> None:
        self._observe = observe
        self._numbers = count()

    def of(self, whole: Tensor, rows: Tensor) -> Observer | None:
        """An observer of a member that works on ``rows``; the other examples are shown as in ``whole`` (B, *S)."""
        observe = self._observe
        if observe is None:
            return None

        def see(_: int, delta: Tensor) -> None:
            shown = whole.clone()
            shown[rows] = delta
            observe(next(self._numbers), shown)

        return see


@attrs.frozen(eq=False, kw_only=True)
class Round:
    """One run of a member: on all of Δ(x), or on the part of a union at ``place``, with random numbers of its own.

    ``begins`` tells whether it begins where the call says.
    """

    attack: Attack
    branch: int
    place: int | None = None
    begins: bool = True

    def of(self, part: Part) -> Part:
        """The examples as this run sees them."""
        threat = part.threat if self.place is None else part.threat.members()[self.place]
        # the member's seed counts beside that of the attack that holds it
        return attrs.evolve(part, threat=threat, rng=part.rng.fork(self.attack.seed).fork(self.branch))


class Series:
    """The worst answer of each example among those of many runs, by an objective.

    With ``survivors`` an example that is fooled keeps the answer that fooled it, and later runs leave it out. Answers
    outside of the set count as none; with ``smallest`` they count, but only those that fool, and the smallest gauge is the
    worst. ``worst`` (B, *S) begins as 0, which is an answer too with ``clean``.
    """

    def __init__(
        self,
        whole: Part,
        objective: Objective,
        *,
        survivors: bool,
        smallest: bool = False,
        clean: bool = True,
        start: Tensor | None = None,
        observe: Observer | None = None,
    ) -> None:
        self._whole, self._objective = whole, objective
        self._survivors, self._smallest = survivors, smallest
        self._start, self._show = start, Show(observe)
        self._value = whole.x.new_full((len(whole),), -torch.inf)
        self.worst = torch.zeros_like(whole.x)
        self.left = whole.rows
        if clean and len(whole):
            self._enter(whole, self.worst)

    def run(self, rounds: Iterable[Round]) -> Tensor:
        """The worst answers after these runs, (B, *S)."""
        for one in rounds:
            if not len(self.left):
                break
            part = one.of(self._whole.take(self.left))
            start = self._start[self.left] if self._start is not None and one.begins else None
            found, inside = answer(one.attack, part, start=start, observe=self._show.of(self.worst, self.left))
            counts = expand(inside | self._smallest, found)
            self._enter(part, torch.where(counts, found, torch.zeros_like(found)))
        return self.worst

    @torch.no_grad()
    def _enter(self, part: Part, delta: Tensor) -> None:
        logits, found = part.score(delta, self._objective)
        # an attack that comes later may go beyond what is within rounding
        fools = certain(logits, part.y, part.goal)
        if self._smallest:
            found = torch.where(fools, -part.threat.gauge(delta, part.x), -torch.inf)
            # less than any that fools for sure, and more than any that does not
            found = torch.where(part.fooled(logits) & ~fools, -torch.finfo(found.dtype).max, found)
        done = fools & self._survivors
        better = (found > self._value[part.rows]) | done
        self.worst[part.rows] = torch.where(expand(better, delta), delta, self.worst[part.rows])
        self._value[part.rows] = torch.where(better, found.to(self._value), self._value[part.rows])
        self.left = part.rows[~done]


def each(attacks: Iterable[Attack]) -> Iterator[Round]:
    """A run of each attack on all of Δ(x)."""
    return (Round(attack=attack, branch=branch) for branch, attack in enumerate(attacks))
