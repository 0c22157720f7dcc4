"""An attack at several radii of a set."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from inradius.attacking.question import Question
from inradius.attacks.attack import Attack, Attacked
from inradius.errors import InputError
from inradius.sets.oracles import Oracles

Observe = Callable[[int, Tensor], None] | None
_NAMES = [field.name for field in attrs.fields(Attacked)]


def attacked_at(question: Question, attack: Attack, radii: Sequence[float], observe: Observe) -> Attacked:
    """The answers at every radius, with a first axis for the radii in the order in which they are given.

    Radii are attacked from the smallest on. An example that is broken keeps its perturbation where it lies in the larger set.
    """
    factors = _factors(question.threat, radii)
    order = sorted(range(len(factors)), key=lambda place: factors[place])
    found: dict[int, Attacked] = {}
    if attack.minimal:
        largest = question.within(question.threat.scaled(factors[order[-1]])).run(attack, observe)
        found = {place: _within(largest, question, factors[place]) for place in order}
    else:
        last: Attacked | None = None
        for place in order:
            at = question.within(question.threat.scaled(factors[place]))
            last = found[place] = at.run(attack, observe) if last is None else _gone_on(last, at, attack, observe)
    return Attacked(
        **{name: torch.stack([getattr(found[place], name) for place in range(len(factors))]) for name in _NAMES}
    )


def _gone_on(last: Attacked, at: Question, attack: Attack, observe: Observe) -> Attacked:
    """The answers in a larger set: the last ones where they broke an example and lie in it, new ones for the others."""
    # a mask belongs to the example's number
    threat = at.threat.at(at.index, at.x)
    keeps = last.success & threat.contains(last.delta, at.x)
    kept = attrs.evolve(last, success=keeps, inside=keeps, gauge=threat.gauge(last.delta, at.x))
    rows = (~keeps).nonzero()[:, 0]
    if not len(rows):
        return kept
    new = at.select(rows).run(attack, observe)
    changes: dict[str, Any] = {
        name: getattr(kept, name).index_put((rows,), getattr(new, name)) for name in _NAMES if name != "queries"
    }
    return Attacked(**changes, queries=last.queries.index_add(0, rows, new.queries))


def _within(largest: Attacked, question: Question, factor: float) -> Attacked:
    """The smallest perturbations, judged in the set of a radius."""
    threat = question.threat.scaled(factor).at(question.index, question.x)
    inside = threat.contains(largest.delta, question.x)
    gauge = threat.gauge(largest.delta, question.x)
    # what was a success in the largest set is one wherever it is a member
    return attrs.evolve(
        largest,
        success=largest.success & inside,
        inside=inside,
        gauge=gauge,
        within_rounding=largest.within_rounding & inside,
    )


def _factors(threat: Oracles, radii: Sequence[float]) -> list[float]:
    """The radii as shares of the set's own. Raises ``InputError`` for other values, and for a set without a radius."""
    own = threat.radius
    if not isinstance(own, int | float) or own <= 0:
        raise InputError(
            f"radii were given, and {threat} has no single radius > 0; allowed are sets that have one, such as linf(eps=0.1)"
        )
    listed = radii.tolist() if isinstance(radii, Tensor | np.ndarray) else radii
    given = list(listed) if isinstance(listed, Sequence) and not isinstance(listed, str) else [listed]
    given = [each.item() if isinstance(each, np.number) else each for each in given]
    wrong = [
        each for each in given if isinstance(each, bool) or not isinstance(each, int | float) or not 0 < each < math.inf
    ]
    if wrong or not given:
        raise InputError(f"radii={radii!r} is not allowed; allowed is a list of finite numbers > 0")
    return [each / own for each in given]
