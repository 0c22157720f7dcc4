"""A search for violating inputs: projected gradient descent on a property from many starts.

Source: madry2018.
"""

import torch
from torch import Tensor

from inradius.models.slope import slope
from inradius.outcomes.property import Property
from inradius.rng import ExampleRNG
from inradius.sets.examples import expand
from inradius.sets.oracles import Oracles
from inradius.verification.clock import Clock
from inradius.verification.leaky import LeakyGradients
from inradius.verification.question import Question, Witness

# the count of input numbers in a batch of starts, and the most and the fewest starts
_NUMBERS, _STARTS, _FEWEST = 1 << 19, 256, 4
# the count of numbers of clauses that are compared at once
_BLOCK = 1 << 22
# random points for each start; the best of them are the starts
_DRAWS = 8
_STEPS = 80
# the first step as a share of the set's extent, and the last
_FIRST, _LAST = 0.5, 0.01
# the most that a ReLU which is off passes of a gradient; of eight mnistfc properties of VNN-COMP 2021 this found the lowest values
_LEAK = 0.2


def find_witness(question: Question, clock: Clock, rounds: range, seed: int = 0) -> Witness | None:
    """A witness found within the rounds of these numbers and the time of the clock; None if there is none.

    A round draws random points and corners of the set, and follows the gradient from the best of them. Half of the starts lower
    the weakest clause, the others one clause each. The gradients are those of leaky ReLUs, with a slope of its own for each start,
    which shrinks to 0 in the course of a round: the network is flat where many units are off.
    """
    for number in rounds if question.refutable else ():
        if clock.over:
            return None
        found = _round(question, clock, number, seed)
        if found is not None:
            return found
    return None


def _round(question: Question, clock: Clock, number: int, seed: int) -> Witness | None:
    starts = max(_FEWEST, min(_STARTS, _NUMBERS // question.x.numel()))
    # the first round looks for what is easy to find
    starts = max(_FEWEST, starts // 8) if number == 0 else starts
    starts = _affordable(question, clock, starts, seed)
    rng = ExampleRNG(seed, torch.arange(starts, device=question.x.device)).fork(number)
    x, threat = question.repeated(starts)
    kept = _chosen(question, starts)
    delta, best = torch.zeros_like(x), torch.full((starts,), torch.inf, dtype=x.dtype, device=x.device)
    for draw in range(_DRAWS):
        points = _drawn(x, threat, rng, corner=bool(draw % 2))
        with torch.no_grad():
            lower = _losses(question.values(x + points), question.prop, kept)
        better = lower < best
        delta, best = torch.where(expand(better, delta), points, delta), torch.where(better, lower, best)
        if clock.over:
            break
    leak = _LEAK * torch.linspace(0, 1, starts, dtype=x.dtype, device=x.device)
    for step in range(_STEPS):
        at, share = delta.detach().requires_grad_(), step / (_STEPS - 1)
        with torch.enable_grad(), LeakyGradients(leak * (1 - share)):
            values = question.values(x + at)
            gradient = slope(_losses(values, question.prop, kept), at)
        found = _accepted(question, values.detach(), x + delta)
        if found is not None or clock.over:
            return found
        size = _FIRST * (_LAST / _FIRST) ** share
        delta = threat.project(delta + size * threat.steepest(-gradient, x, delta), x).detach()
    with torch.no_grad():
        return _accepted(question, question.values(x + delta), x + delta)


def _affordable(question: Question, clock: Clock, starts: int, seed: int) -> int:
    """The count of starts that the time of the clock allows, from ``_FEWEST`` to ``starts``; a set may take seconds for a point.

    The time of a draw is taken to be a constant and a part for each start, as it was for two small numbers of them.
    """
    allowed, sizes, seconds = clock.left / (2 * _DRAWS), (_FEWEST, 4 * _FEWEST), []
    for size in sizes:
        x, threat = question.repeated(size)
        spent = clock.spent
        _drawn(x, threat, ExampleRNG(seed, torch.arange(size, device=x.device)), corner=False)
        seconds.append(clock.spent - spent)
        if seconds[0] * starts / _FEWEST <= allowed:
            return starts
        if seconds[0] > allowed or starts <= sizes[1]:
            return _FEWEST
    each = max(seconds[1] - seconds[0], 0.0) / (sizes[1] - sizes[0])
    return starts if each == 0 else max(_FEWEST, min(starts, int(_FEWEST + (allowed - seconds[0]) / each)))


def _drawn(x: Tensor, threat: Oracles, rng: ExampleRNG, *, corner: bool) -> Tensor:
    if corner:
        return threat.linear_max(rng.normal(tuple(x.shape[1:]), dtype=x.dtype).to(x.device), x)
    return threat.sample(x, rng=rng)


def _chosen(question: Question, starts: int) -> Tensor:
    """True for the clauses that a start lowers, (starts, M): one clause in turn for every second start, all for the others."""
    clauses = question.prop.clauses
    count = question.prop.offsets.shape[1] if clauses is None else len(clauses)
    kept = torch.ones(starts, count, dtype=torch.bool, device=question.x.device)
    turn = torch.arange(0, starts, 2, device=kept.device)
    kept[turn] = torch.arange(count, device=kept.device) == (turn // 2 % count)[:, None]
    return kept


def _losses(values: Tensor, prop: Property, kept: Tensor) -> Tensor:
    """The loss that a descent lowers, (starts, K) -> (starts,): the lowest of each start's clauses.

    The loss of a clause is the sum of its rows above 0. Where it has none, it is violated, and its loss is its largest row.
    """
    if prop.clauses is None:
        return torch.where(kept, values, torch.inf).amin(1)
    clauses = prop.clauses.to(values.device)
    over = values.clamp(min=0) @ clauses.to(values.dtype).T
    parts = torch.split(clauses, max(1, _BLOCK // max(1, values.numel())))
    under = torch.cat([torch.where(part, values[:, None], -torch.inf).amax(2) for part in parts], dim=1)
    return torch.where(kept, torch.where(over > 0, over, under), torch.inf).amin(1)


def _accepted(question: Question, values: Tensor, points: Tensor) -> Witness | None:
    """The witness at the point (of N) that violates the property most; None if no point violates it."""
    weakest = question.prop.weakest(values)
    lowest = int(weakest.nan_to_num(nan=torch.inf, posinf=torch.inf).argmin())
    return question.accept(points[lowest : lowest + 1].detach()) if float(weakest[lowest]) <= 0 else None
