"""The frame of minimal-norm attacks: one search for each member of a set, and answers that are shortened at the end."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, Observer, Oracles
from inradius.components.validators import integer
from inradius_minimal.counting import grain
from inradius_minimal.fallback import fall_back
from inradius_minimal.radii import kept_to_constraints
from inradius_minimal.shorten import shorten
from inradius_minimal.smallest import Smallest
from inradius_minimal.thin import thin

# forward passes that move a far start along its ray to the boundary
_PASSES = 12


@attrs.frozen(kw_only=True)
class MinimalAttack(Attack, ABC):
    """An attack that answers with the smallest perturbation it finds; with δ = 0 where the label is wrong without one, and
    where nothing is misclassified.

    Examples that a search found nothing for are searched again from far corners of larger sets, where these are misclassified.
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
                self.seek_again(part, own)
                self._polished(part, own)
                found.merge(own)
        return found.answer()

    def seek_again(self, part: AttackBatch, found: Smallest) -> None:
        """Searches once more for the examples that nothing was found for, from far points that are misclassified."""
        missing = part.take(torch.isinf(found.size[part.rows]).nonzero().squeeze(1))
        if not len(missing):
            return
        fall_back(missing, found, gradients=not self.is_black_box())
        reached = missing.take(torch.isfinite(found.size[missing.rows]).nonzero().squeeze(1))
        if len(reached):
            shorten(found, _PASSES, reached.rows)
            self.seek(reached, found.delta[reached.rows], found)

    def _polished(self, part: AttackBatch, found: Smallest) -> None:
        """Moves answers back along their rays; where the gauge counts changes, that changes nothing, and some are taken back."""
        if bool((grain(part) > 0).all()):
            thin(found, self.polish)
        else:
            shorten(found, self.polish)

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
