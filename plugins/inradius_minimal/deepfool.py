"""DeepFool."""

from typing import ClassVar

import attrs
from torch import Tensor

from inradius import AttackBatch
from inradius.components.validators import as_float, count, radius
from inradius_minimal.gradients import leads
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.nearest import Nearest
from inradius_minimal.radii import kept_to_constraints
from inradius_minimal.smallest import Smallest
from inradius_minimal.target_classes import target_classes


@attrs.frozen(kw_only=True)
class DeepFool(MinimalAttack):
    """Steps to the nearest of the linearised boundaries, each the shortest in the set's own measure, until x + δ is misclassified.

    Every step is the δ of the smallest radius t at which scaled(t) reaches the boundary between the label and one of the
    ``classes`` wrong classes that the model thinks likeliest at x. The model is asked a little further out, at
    (1 + ``overshoot``) δ; what the overshoot adds is taken back by ``polish``.
    Source: moosavi2016.
    """

    name: ClassVar[str] = "deepfool"

    # Moosavi-Dezfooli et al. 2016, sec. 4, and their code: 50 steps, 10 classes with the label, an overshoot of 0.02
    steps: int = attrs.field(default=50, validator=count)
    classes: int = attrs.field(default=9, validator=count)
    overshoot: float = attrs.field(default=0.02, validator=radius, converter=as_float)

    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        delta, aims = start, target_classes(part, start, self.classes)
        for _ in range(self.steps):
            tried = self._further(part, delta)
            logits, ahead = leads(part, tried, aims)
            left = (~found.record(part, tried, logits)).nonzero().squeeze(1)
            if not len(left):
                return
            ahead = [(found.past(part, value), gradient) for value, gradient in ahead]
            moved = delta + Nearest.of(part, tried, ahead).step
            part, delta, aims = part.take(left), moved[left], aims[left]
        found.try_out(part, self._further(part, delta))

    def _further(self, part: AttackBatch, delta: Tensor) -> Tensor:
        return kept_to_constraints(part.threat, delta * (1 + self.overshoot), part.x)
