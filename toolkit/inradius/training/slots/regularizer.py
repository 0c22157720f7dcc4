"""Regularizers: penalties that are added to the loss."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, final

import attrs
from torch import Tensor, nn

from inradius.components.component import Component
from inradius.components.validators import as_float, radius
from inradius.sets.oracles import Oracles
from inradius.training.attacked_batch import AttackedBatch
from inradius.training.schedule import Schedule
from inradius.training.state import RunState


def weight_or_schedule(instance: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts a finite number ≥ 0 and a schedule."""
    if not isinstance(value, Schedule):
        radius(instance, field, value)


@attrs.frozen(kw_only=True)
class Regularizer(Component, ABC):
    """A penalty that is added to the loss, ``weight`` times; the weight may be a schedule, or one with feedback."""

    # whether it takes a gradient of a gradient, which float16 and compiled networks do not give
    second_order: ClassVar[bool] = False

    weight: float | Schedule = attrs.field(default=1.0, validator=weight_or_schedule, converter=as_float)

    @abstractmethod
    def penalty(self, model: nn.Module, views: AttackedBatch, threat: Oracles, run: RunState) -> Tensor:
        """The penalty of each example, (B,), or one number for the weights, ()."""

    @final
    def __call__(self, model: nn.Module, views: AttackedBatch, threat: Oracles, run: RunState) -> Tensor:
        """The weighted penalty, (B,) or ()."""
        penalty = self.penalty(model, views, threat, run)
        mean = run.mean(penalty)
        weight = self.weight
        if isinstance(weight, Schedule):
            weight = weight.weigh(mean, run.progress, run.memory(self))
        run.log(**{self.spec_name(): mean, f"{self.spec_name()}_weight": weight})
        return weight * penalty
