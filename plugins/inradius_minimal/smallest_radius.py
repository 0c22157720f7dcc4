"""The smallest radius at which an attack succeeds, found by bisection."""

from typing import ClassVar

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import Attack, AttackBatch
from inradius.components.default import default
from inradius.components.validators import as_float, component, count, share
from inradius.sets.examples import expand
from inradius.sets.lengthen import lengthen
from inradius_minimal.beginnings import begin
from inradius_minimal.counting import grain
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.shorten import shorten
from inradius_minimal.smallest import Smallest

# the relative width of a bracket that is not searched any more
_CLOSE = 1e-4
# passes that move an answer back along its ray before the next radius is chosen
_PASSES = 2
# a share of this is asked for next where the last one succeeded
_FASTER = 1.6
_MOST = 0.5
# the streams of random numbers of the first attacks
_BEGINNINGS = 100


@attrs.frozen(kw_only=True)
class SmallestRadius(MinimalAttack):
    """The smallest perturbation of an attack for a fixed radius: the radius of each example is bisected, ``searches`` times.

    It begins at what ``first`` finds; None takes short runs of several attacks (``beginnings``), but nothing for attacks that ask
    for no gradient. Then the attack runs within r − s r, where r is the best gauge known and s is
    ``share`` at first, and larger after a success; once it has failed, within the root of the product of both radii. Each run
    begins at the best perturbation, scaled to the radius. What counts is what is misclassified in the end, with its own gauge: a
    radius is never taken for granted.
    """

    name: ClassVar[str] = "smallest"
    positional: ClassVar[tuple[str, ...]] = ("attack",)

    attack: Attack = attrs.field(
        factory=default("apgd(steps=30, objective=margin())", Attack, of="attack of smallest"),
        validator=component(Attack),
    )
    first: Attack | None = attrs.field(default=None, validator=optional(component(Attack)))
    searches: int = attrs.field(default=10, validator=count)
    share: float = attrs.field(default=0.1, validator=share, converter=as_float)

    @attack.validator
    def _check_attack(self, _: object, value: Attack) -> None:
        if value.minimal:
            raise ValueError(
                f"attack={value} looks for the smallest perturbation itself; allowed are attacks that keep to a radius, as pgd()"
            )

    def inner(self) -> tuple[Attack, ...]:
        return (self.attack,) if self.first is None else (self.attack, self.first)

    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        places = torch.isinf(found.size[part.rows]).nonzero().squeeze(1)
        if len(places):
            self._begun(part.take(places), start[places], found)
        left = part.take(torch.isfinite(found.size[part.rows]).nonzero().squeeze(1))
        low, step = torch.zeros_like(found.size), torch.full_like(found.size, self.share)
        for number in range(self.searches):
            left = left.take(_open(left, low, found))
            if not len(left):
                return
            rows, radius = left.rows, _next(left, low, step, found)
            fooled = self._tried(left, radius, number, found)
            shorten(found, _PASSES, rows[fooled])
            low[rows] = torch.where(fooled, low[rows], radius)
            step[rows] = torch.where(fooled, step[rows] * _FASTER, step[rows]).clamp(max=_MOST)

    def _begun(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        """Records what the first attacks find."""
        if self.first is not None:
            delta, _ = self.first.answer(attrs.evolve(part, rng=part.rng.fork(self.first.seed).fork(0)))
            _recorded(part, delta, found)
        elif not self.attack.is_black_box():
            begin(part, start, found)

    def _tried(self, part: AttackBatch, radius: Tensor, number: int, found: Smallest) -> Tensor:
        """Runs the attack within ``radius`` (n,) from the best perturbations and records its answers; where it succeeded, (n,)."""
        start = found.delta[part.rows] * expand(radius / found.size[part.rows], part.x)
        rng = part.rng.fork(self.attack.seed).fork(_BEGINNINGS + number)
        own = attrs.evolve(part, threat=part.threat.per_example(radius), start=start, rng=rng)
        delta, inside = self.attack.answer(own)
        fooled, places = torch.zeros_like(inside), inside.nonzero().squeeze(1)
        if len(places):
            fooled[places] = found.try_out(part.take(places), delta[places])
        return fooled


def _recorded(part: AttackBatch, delta: Tensor, found: Smallest) -> None:
    """Records the answers (n, *S) of another attack; those on the boundary are tried a thousandth longer."""
    moved = (delta != 0).flatten(1).any(1)
    places = (moved & ~found.try_out(part, delta)).nonzero().squeeze(1)
    if len(places):
        some = part.take(places)
        found.try_out(some, lengthen(some.threat, delta[places], some.x))


def _open(part: AttackBatch, low: Tensor, found: Smallest) -> Tensor:
    """The places in ``part`` of the examples whose radius may still be smaller, (n,)."""
    size, least = found.size[part.rows], grain(part)
    worth = torch.maximum(size * _CLOSE, least * 1.5)
    return ((size > 0) & (size - low[part.rows] > worth)).nonzero().squeeze(1)


def _next(part: AttackBatch, low: Tensor, step: Tensor, found: Smallest) -> Tensor:
    """The radius to ask for next, between the last failure and the best gauge known, (n,)."""
    below, size, least = low[part.rows], found.size[part.rows], grain(part)
    radius = torch.where(below > 0, (below * size).sqrt(), size * (1 - step[part.rows]))
    whole = torch.where(least > 0, least, 1.0)
    counted = torch.minimum((radius / whole).round(), (size / whole).round() - 1) * whole
    return torch.where(least > 0, counted, radius)
