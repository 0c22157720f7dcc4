"""Outcomes of classifiers, whose labels are classes: top-1, top-k, confidence, and a class that must not be predicted."""

import math
from abc import ABC

import attrs
import torch
from torch import Tensor

from inradius.components.validators import count, integer
from inradius.data.checks import check_labels
from inradius.errors import InputError
from inradius.models.outputs import check_logits
from inradius.outcomes.margins import class_margin, log_odds_against
from inradius.outcomes.outcome import Outcome
from inradius.outcomes.property import Property


@attrs.frozen(kw_only=True)
class ClassOutcome(Outcome, ABC):
    """An outcome of logits (n, C) and labels (n,), which are classes."""

    in_output_units = True

    def check_labels(self, x: Tensor, y: object) -> Tensor:
        return check_labels(x, y)  # type: ignore[arg-type]

    def check_outputs(self, outputs: object, y: Tensor) -> None:
        check_logits(outputs, len(y))
        assert isinstance(outputs, Tensor)
        if len(y) and int(y.max()) >= outputs.shape[1]:
            raise InputError(
                f"label {int(y.max())} is out of range; the model has the classes 0 to {outputs.shape[1] - 1}"
            )

    def predicted(self, outputs: Tensor) -> Tensor | None:
        return outputs.argmax(1)


@attrs.frozen(kw_only=True)
class Top1(ClassOutcome):
    """Broken where the label is not the class of the largest logit. The default."""

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The label's logit minus the largest other one."""
        return class_margin(outputs, y)

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        """The label's logit is above every other one."""
        return Property.margins(y, outputs.shape[1], dtype=outputs.dtype)


@attrs.frozen(kw_only=True)
class TopK(ClassOutcome):
    """Broken where the label is not among the classes of the ``k`` largest logits."""

    positional = ("k",)

    k: int = attrs.field(validator=count)

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The label's logit minus the k-th largest of the others."""
        return self._leads(outputs, y)[:, -1]

    def guide(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean lead over those of the k largest others that are still below; the margin where the example is broken."""
        leads = self._leads(outputs, y)
        below = leads > 0
        mean = torch.where(below, leads, 0.0).sum(1) / below.sum(1).clamp(min=1)
        return torch.where(leads[:, -1] > 0, mean, leads[:, -1])

    def _leads(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The label's logit minus each of the k largest of the others, ascending, (n, k)."""
        label = y[:, None]
        return outputs.gather(1, label) - outputs.scatter(1, label, -torch.inf).topk(self.k, dim=1).values

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        """Of any k other classes one has a smaller logit."""
        return Property.top_k(y, outputs.shape[1], self.k, dtype=outputs.dtype)

    def check_outputs(self, outputs: object, y: Tensor) -> None:
        super().check_outputs(outputs, y)
        assert isinstance(outputs, Tensor)
        if self.k >= outputs.shape[1]:
            raise InputError(
                f"{self} asks for {self.k} of {outputs.shape[1]} classes; allowed is k from 1 to {outputs.shape[1] - 1}"
            )


@attrs.frozen(kw_only=True)
class Confidence(ClassOutcome):
    """Broken where the softmax probability of the label is at most ``threshold``, in (0, 1)."""

    positional = ("threshold",)

    threshold: float = attrs.field()

    @threshold.validator
    def _check(self, field: object, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise ValueError(f"threshold={value!r} is not allowed; allowed is a probability between 0 and 1")

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The log odds of the label minus those of the threshold."""
        return -log_odds_against(outputs, y) - self._odds

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        """The label's logit leads every other one by log((C − 1) t / (1 − t)): enough with more than two classes, not needed."""
        rows = Property.margins(y, outputs.shape[1], dtype=torch.float64)
        lead = math.log(outputs.shape[1] - 1) + self._odds
        # the next larger numbers: the logarithms are rounded
        lead = math.nextafter(math.nextafter(lead, math.inf), math.inf)
        return attrs.evolve(rows, offsets=rows.offsets - lead).to(outputs.dtype)

    def size(self, outputs: Tensor, y: Tensor) -> Tensor:
        return outputs.abs().amax(1).clamp(min=abs(self._odds))

    @property
    def _odds(self) -> float:
        return math.log(self.threshold) - math.log1p(-self.threshold)


@attrs.frozen(kw_only=True)
class Never(ClassOutcome):
    """Broken where the class ``goal`` is predicted, whatever the label: another logit must be larger."""

    positional = ("goal",)

    goal: int = attrs.field(validator=integer)

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The largest other logit minus that of the goal."""
        return -class_margin(outputs, self._goals(y))

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        """Some logit is above that of the goal."""
        return Property.targeted(self._goals(y), outputs.shape[1], dtype=outputs.dtype)

    def check_outputs(self, outputs: object, y: Tensor) -> None:
        super().check_outputs(outputs, y)
        assert isinstance(outputs, Tensor)
        if self.goal >= outputs.shape[1]:
            raise InputError(f"{self} names class {self.goal}; the model has the classes 0 to {outputs.shape[1] - 1}")

    def _goals(self, y: Tensor) -> Tensor:
        return torch.full_like(y, self.goal)


# the outcome where none is asked for
TOP1 = Top1()


def is_top1(outcome: Outcome) -> bool:
    """True for ``top1`` itself, whose logits attacks and certifiers take as they are; a class made from it asks its own."""
    return type(outcome) is Top1
