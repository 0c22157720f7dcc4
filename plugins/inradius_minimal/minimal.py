"""The frame of minimal-norm attacks: one search for each member of a set, and answers that are shortened at the end."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, Observer, Oracles
from inradius.components.validators import integer
from inradius_minimal.radii import kept_to_constraints
from inradius_minimal.shorten import shorten
from inradius_minimal.smallest import Smallest


@attrs.frozen(kw_only=True)
class MinimalAttack(Attack, ABC):
    """An attack that answers with the smallest perturbation it finds; with δ = 0 where the label is wrong without one, and
    where nothing is misclassified.

    At the end at most ``polish`` forward passes move each answer back along its own ray, as far as it is misclassified. Its
    answer is past the boundary by what rounding needs, at most about a thousandth of its length.
    """

    aims: ClassVar[bool] = True
    minimal: ClassVar[bool] = True

    # where the lead is nearly linear, two passes end at the boundary up to a relative 1e-6
    polish: int = attrs.field(default=4, validator=integer)

    @torch.no_grad()
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        members = self.searched(batch.threat)
        found = Smallest(batch, self.measure, observe)
        for place, member in enumerate(members):
            own = found.afresh(attrs.evolve(batch, threat=member, rng=batch.rng.fork(place)))
            part = own.whole.take(own.standing)
            if len(part):
                self.seek(part, _first(part), own)
                shorten(own, self.polish)
                found.merge(own)
        return found.answer()

    def searched(self, threat: Oracles) -> Sequence[Oracles]:
        """The members of the set that are searched, each by itself; raises ``UnsupportedError`` where there are none."""
        return threat.members()

    def measure(self, part: AttackBatch, delta: Tensor) -> Tensor:
        """The size that is to be small, (n,): the gauge."""
        return part.threat.gauge(delta, part.x)

    @abstractmethod
    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        """Searches for the examples of ``part`` from ``start`` (n, *S), and records in ``found`` what it meets."""


def _first(part: AttackBatch) -> Tensor:
    if part.start is None:
        return torch.zeros_like(part.x)
    return kept_to_constraints(part.threat, part.start, part.x)
