"""Outcomes of yes or no: a single logit, and several labels at once."""

from abc import ABC, abstractmethod

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.outcomes.outcome import Outcome, check_finite, flat
from inradius.outcomes.property import Property


def _finite(_: object, field: "attrs.Attribute[float]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is a finite number")


@attrs.frozen(kw_only=True)
class MarkOutcome(Outcome, ABC):
    """An outcome of outputs that stand for yes above ``threshold``: 0 for logits, 0.5 for probabilities."""

    in_output_units = True
    positional = ("threshold",)

    threshold: float = attrs.field(default=0.0, validator=_finite)

    @abstractmethod
    def check_outputs(self, outputs: object, y: Tensor) -> None:
        """Raises ``InputError`` where outputs and labels have other shapes than this outcome's."""

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The smallest distance of an output from the threshold, negative on the wrong side of it."""
        numbers = flat(outputs)
        return (_signs(y, numbers) * (numbers - self.threshold)).amin(1)

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        """Every output is on its label's side of the threshold."""
        signs = _signs(y, outputs.double())
        return Property(torch.diag_embed(signs), -signs * self.threshold).to(outputs.dtype)

    def size(self, outputs: Tensor, y: Tensor) -> Tensor:
        return super().size(outputs, y).clamp(min=abs(self.threshold))

    def check_labels(self, x: Tensor, y: object) -> Tensor:
        labels = super().check_labels(x, y)
        if not bool(((labels == 0) | (labels == 1)).all()):
            raise InputError(f"{self} takes labels of 0 and 1, and some are neither; allowed are 0 and 1")
        return labels.to(torch.int64)


@attrs.frozen(kw_only=True)
class Binary(MarkOutcome):
    """Broken where a single output, (n,) or (n, 1), is on the wrong side of ``threshold`` for its label, 0 or 1.

    ``threshold`` is 0 for a logit and 0.5 for a probability. Label 1 stands for outputs above it.
    """

    def check_outputs(self, outputs: object, y: Tensor) -> None:
        check_finite(outputs, len(y), "(n,) or (n, 1), one for each")
        assert isinstance(outputs, Tensor)
        if y.ndim != 1 or outputs.numel() != len(y):
            raise InputError(
                f"{self} was given outputs of shape {tuple(outputs.shape)} and labels of shape {tuple(y.shape)}; allowed are one "
                "output and one label for each input"
            )

    def predicted(self, outputs: Tensor) -> Tensor | None:
        return (outputs.reshape(-1) > self.threshold).to(torch.int64)


@attrs.frozen(kw_only=True)
class MultiLabel(MarkOutcome):
    """Broken where any of several labels, (n, L) of 0 and 1, flips: an output (n, L) is on the wrong side of ``threshold``."""

    def check_outputs(self, outputs: object, y: Tensor) -> None:
        check_finite(outputs, len(y), "(n, L), one for each label")
        assert isinstance(outputs, Tensor)
        if outputs.shape != y.shape or y.ndim != 2 or not y.shape[1]:
            raise InputError(
                f"{self} was given outputs of shape {tuple(outputs.shape)} and labels of shape {tuple(y.shape)}; allowed is one "
                "output for each label, (n, L)"
            )


def _signs(y: Tensor, like: Tensor) -> Tensor:
    """1 for yes and −1 for no, in the type of the outputs, (n, L)."""
    marks = flat(y).to(like)
    return 2 * marks - 1
