"""The model as an attack sees it: logits that are checked and counted."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from inradius.errors import InputError


class Subject:
    """A classifier under attack. Calling it gives finite logits (n, C) and counts the images for their examples.

    ``take`` gives the same classifier for a part of the batch. A call on a multiple of the batch counts once for each copy.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], y: Tensor) -> None:
        self._model = model
        self._labels = y
        self._rows = torch.arange(len(y), device=y.device)
        self.queries = torch.zeros(len(y), dtype=torch.int64, device=y.device)

    def __call__(self, x: Tensor) -> Tensor:
        logits = self._model(x)
        check_logits(logits, len(x))
        largest = int(self._labels.max()) if len(self._labels) else 0
        if largest >= logits.shape[1]:
            raise InputError(f"label {largest} is out of range; the model has the classes 0 to {logits.shape[1] - 1}")
        copies, rest = divmod(len(x), max(1, len(self._rows)))
        if rest:
            raise InputError(
                f"the model was called on {len(x)} images for {len(self._rows)} examples; "
                "an attack that goes on with a part of the batch must take that part of the model: model.take(mask)"
            )
        self.queries[self._rows] += copies
        return logits

    def take(self, mask: Tensor) -> Self:
        """The classifier for the examples in ``mask`` (boolean, or indices); its queries count for the whole."""
        part = object.__new__(type(self))
        part._model, part.queries = self._model, self.queries
        part._labels, part._rows = self._labels[mask], self._rows[mask]
        return part


def check_logits(logits: object, count: int) -> None:
    """Raises ``InputError`` where a model's output is not finite logits of shape (count, C) with C ≥ 2."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != count or logits.shape[1] < 2:
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"the model returned {given} for {count} images; allowed are logits of shape ({count}, classes ≥ 2)"
        )
    bad = ~torch.isfinite(logits.detach()).all(1)
    if bool(bad.any()):
        raise InputError(
            f"the model's logits for image {int(bad.nonzero()[0])} of the batch are NaN or infinite; they must be finite"
        )


def check_labels(x: Tensor, y: Tensor) -> None:
    """Raises ``InputError`` where inputs and labels do not go together."""
    if not x.is_floating_point():
        raise InputError(f"the inputs are {x.dtype}; allowed are floating-point images")
    if y.shape != x.shape[:1] or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise InputError(
            f"the labels have shape {tuple(y.shape)} and type {y.dtype}; allowed is one integer per input, ({len(x)},)"
        )
    if len(y) and int(y.min()) < 0:
        raise InputError(f"label {int(y.min())} is out of range; labels count from 0")


def check_goal(subject: Subject, x: Tensor, goal: Tensor) -> None:
    """Raises ``InputError`` where the goals are not classes of the model."""
    check_labels(x, goal)
    classes = subject(x).shape[1]
    if len(goal) and int(goal.max()) >= classes:
        raise InputError(f"goal {int(goal.max())} is out of range; the model has the classes 0 to {classes - 1}")
