"""A mini-batch as a loss sees it: the examples and their perturbations."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from inradius.data.dataset import Dataset
from inradius.models.modes import at_least


@attrs.frozen(eq=False, kw_only=True)
class Perturbations:
    """The perturbations that an attack found for a batch.

    delta (B, *S): in the set. candidates (k, B, *S): the perturbations that delta was chosen from. trace: the iterates that were
    asked for, by their number, each (B, *S). tried (B,): the number of iterates, and withstood (B,): how many of them are
    classified correctly; both None for an attack that does not count them.
    """

    delta: Tensor
    candidates: Tensor
    trace: dict[int, Tensor]
    withstood: Tensor | None = None
    tried: Tensor | None = None


@attrs.define(eq=False)
class AttackedBatch:
    """A batch and its perturbations; logits are computed when they are first asked for, and kept.

    A regularizer that needs the logits of the loss asks for them again at no cost.
    """

    batch: Dataset
    found: Perturbations | None = None
    _logits: dict[str, Tensor] = attrs.field(factory=dict)

    @property
    def inputs(self) -> Tensor:
        """The clean inputs, (B, *S)."""
        return self.batch.inputs

    @property
    def delta(self) -> Tensor:
        """The perturbations, (B, *S); 0 where nothing was attacked."""
        return torch.zeros_like(self.batch.inputs) if self.found is None else self.found.delta

    def clean(self, model: nn.Module) -> Tensor:
        """The logits of the clean inputs, (B, C)."""
        return self.at("clean", lambda: model(self.inputs))

    def attacked(self, model: nn.Module) -> Tensor:
        """The logits of the attacked inputs, (B, C)."""
        if self.found is None:
            return self.clean(model)
        return self.at("attacked", lambda: model(self.inputs + self.delta))

    def iterate(self, model: nn.Module, number: int) -> Tensor:
        """The logits at an iterate that was kept, (B, C)."""
        assert self.found is not None
        found = self.found
        return self.at(f"iterate {number}", lambda: model(self.inputs + found.trace[number]))

    def each(self, model: nn.Module) -> Tensor:
        """The logits of every candidate, (k, B, C), in one pass, so that the statistics of a batch are those of all together."""
        assert self.found is not None
        points = self.inputs + self.found.candidates
        return self.at("each", lambda: model(points.flatten(0, 1)).unflatten(0, points.shape[:2]))

    def at(self, name: str, compute: Callable[[], Tensor]) -> Tensor:
        """The logits stored under this name; the first call computes and stores them."""
        if name not in self._logits:
            # losses are computed in float32 also where the network is not
            self._logits[name] = at_least(compute(), self.inputs.dtype)
        return self._logits[name]

    def mistakes(self) -> Tensor | None:
        """True where a prediction that the loss used is wrong, (B,); None if it used none. Attacked ones come before clean ones."""
        for name in ("clean",) if self.found is None else ("attacked", "each"):
            if name in self._logits:
                wrong = self._logits[name].detach().argmax(-1) != self.batch.labels
                return wrong.any(0) if name == "each" else wrong
        return None
