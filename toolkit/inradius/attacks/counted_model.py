"""The model as an attack sees it: logits that are checked and counted."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.models.kept_gradients import KeptGradients
from inradius.models.modes import at_least
from inradius.models.outputs import asked, check_logits
from inradius.outcomes.classes import TOP1, is_top1
from inradius.outcomes.outcome import Outcome
from inradius.outcomes.property import Property


class CountedModel:
    """A classifier under attack. Calling it gives finite logits (n, C) and counts the images for their examples.

    ``take`` gives the same classifier for a part of the batch. A call on a multiple of the batch, all examples
    and then all again, counts once for each copy.
    ``targets`` (n, C) are distributions that the objective compares the predictions with in place of the labels, or None.
    With another outcome than top-1, ``outcome`` judges the outputs by the labels ``y``, and the logits are two: class 0 stands for
    right, class 1 for broken, and their difference is the outcome's margin. Attacks then see the label 0, ``labels``.
    """

    targets: Tensor | None

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        y: Tensor,
        goal: Tensor | None = None,
        targets: Tensor | None = None,
        outcome: Outcome = TOP1,
    ) -> None:
        self._model, self._outcome = model, outcome
        self._own = None if is_top1(outcome) else y
        # read once: each reading makes the host wait for the device
        self._label, self._goal = (_largest(y), _largest(goal)) if self._own is None else (0, 0)
        self.targets = targets
        self._rows = torch.arange(len(y), device=y.device)
        self.queries = torch.zeros(len(y), dtype=torch.int64, device=y.device)

    def __call__(self, x: Tensor) -> Tensor:
        outputs = self.outputs(x)
        return outputs if self._own is None else self._outcome.logits(outputs, self._repeated(self._own, len(x)))

    def outputs(self, x: Tensor) -> Tensor:
        """The outputs as the outcome judges them, checked and counted: with top-1 the logits."""
        logits = _asked(self._model, x)
        if self._own is not None:
            copies = self._copies(x)
            self._outcome.check_outputs(logits, self._repeated(self._own, len(x)))
            self.count(copies)
            return at_least(logits, x.dtype)
        check_logits(logits, len(x))
        logits = at_least(logits, x.dtype)
        for name, largest in (("label", self._label), ("goal", self._goal)):
            if largest >= logits.shape[1]:
                raise InputError(
                    f"{name} {largest} is out of range; the model has the classes 0 to {logits.shape[1] - 1}"
                )
        if self.targets is not None and self.targets.shape[1] != logits.shape[1]:
            raise InputError(
                f"targets are distributions over {self.targets.shape[1]} classes; the model has {logits.shape[1]}"
            )
        self.count(self._copies(x))
        return logits

    @staticmethod
    def _repeated(y: Tensor, count: int) -> Tensor:
        """The labels of all examples, then of all again, and so on, (count, ...)."""
        return y if count == len(y) else y.repeat(count // max(1, len(y)), *(1,) * (y.ndim - 1))

    def _copies(self, x: Tensor) -> int:
        copies, rest = divmod(len(x), max(1, len(self._rows)))
        if rest:
            raise InputError(
                f"the model was called on {len(x)} images for {len(self._rows)} examples; "
                "an attack that goes on with a part of the batch must take that part of the model: model.take(mask)"
            )
        return copies

    @property
    def labels(self) -> Tensor | None:
        """The labels that attacks see, (n,), all 0; None where they see their own, with top-1."""
        return None if self._own is None else torch.zeros_like(self._rows)

    def own_labels(self, y: Tensor) -> Tensor:
        """The labels by which the outcome judges; ``y`` (n,) with top-1."""
        return y if self._own is None else self._own

    def as_property(self, like: Tensor) -> Property | None:
        """The property that certifiers prove of these examples, for outputs like these; None where the outcome is top-1."""
        return None if self._own is None else self._outcome.as_property(self._own, like)

    def on(self, model: Callable[[Tensor], Tensor]) -> Self:
        """The same examples and outcome on another model, with a count of its own."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._model, other.targets = model, None
        other._rows = torch.arange(len(self._rows), device=self._rows.device)
        other.queries = torch.zeros_like(self._rows)
        return other

    @property
    def plain(self) -> Callable[[Tensor], Tensor]:
        """The classifier itself, for attacks that look into it; they ``count`` the images that they run on it."""
        return self._model

    def count(self, images: int) -> None:
        """Counts ``images`` more for each example."""
        # added one by one, since a part may hold an example twice
        self.queries.index_add_(0, self._rows, torch.full_like(self._rows, images))

    def each(self, copies: int) -> Self:
        """The classifier for copies of each example, one after the other, before those of the next example."""
        return self.take(torch.arange(len(self._rows), device=self._rows.device).repeat_interleave(copies))

    def take(self, mask: Tensor) -> Self:
        """The classifier for the examples in ``mask`` (boolean, or indices); its queries count for the whole."""
        part = object.__new__(type(self))
        part._model, part.queries, part._rows = self._model, self.queries, self._rows[mask]
        part._label, part._goal, part._outcome = self._label, self._goal, self._outcome
        part._own = None if self._own is None else self._own[mask]
        part.targets = None if self.targets is None else self.targets[mask]
        return part


def _asked(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    kept = KeptGradients.where_needed(model, x)
    if kept is None:
        return asked(model, x)
    outputs = asked(model, kept.inputs(x))
    return kept.outputs(outputs) if isinstance(outputs, Tensor) and outputs.is_floating_point() else outputs


def _largest(labels: Tensor | None) -> int:
    return int(labels.max()) if labels is not None and len(labels) else 0
