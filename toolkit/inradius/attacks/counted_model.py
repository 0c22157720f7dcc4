"""The model as an attack sees it: logits that are checked and counted."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.models.modes import at_least
from inradius.models.outputs import asked, check_logits


class CountedModel:
    """A classifier under attack. Calling it gives finite logits (n, C) and counts the images for their examples.

    ``take`` gives the same classifier for a part of the batch. A call on a multiple of the batch counts once for each copy.
    ``targets`` (n, C) are distributions that the objective compares the predictions with in place of the labels, or None.
    """

    targets: Tensor | None

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        y: Tensor,
        goal: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> None:
        self._model = model
        # read once: each reading makes the host wait for the device
        self._label, self._goal = _largest(y), _largest(goal)
        self.targets = targets
        self._rows = torch.arange(len(y), device=y.device)
        self.queries = torch.zeros(len(y), dtype=torch.int64, device=y.device)

    def __call__(self, x: Tensor) -> Tensor:
        logits = asked(self._model, x)
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
        copies, rest = divmod(len(x), max(1, len(self._rows)))
        if rest:
            raise InputError(
                f"the model was called on {len(x)} images for {len(self._rows)} examples; "
                "an attack that goes on with a part of the batch must take that part of the model: model.take(mask)"
            )
        self.count(copies)
        return logits

    @property
    def plain(self) -> Callable[[Tensor], Tensor]:
        """The classifier itself, for attacks that look into it; they ``count`` the images that they run on it."""
        return self._model

    def count(self, images: int) -> None:
        """Counts ``images`` more for each example."""
        # added one by one, since a part may hold an example twice
        self.queries.index_add_(0, self._rows, torch.full_like(self._rows, images))

    def take(self, mask: Tensor) -> Self:
        """The classifier for the examples in ``mask`` (boolean, or indices); its queries count for the whole."""
        part = object.__new__(type(self))
        part._model, part.queries, part._rows = self._model, self.queries, self._rows[mask]
        part._label, part._goal = self._label, self._goal
        part.targets = None if self.targets is None else self.targets[mask]
        return part


def _largest(labels: Tensor | None) -> int:
    return int(labels.max()) if labels is not None and len(labels) else 0
