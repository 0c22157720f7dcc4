"""Perturbations that pass from each mini-batch to the next."""

from typing import Any

import attrs
import torch
from torch import Tensor

_NAME = "delta"


@attrs.frozen(eq=False)
class Rolling:
    """The perturbations of the last mini-batch, by the place in it, in a component's ``memory``, which is saved with the run."""

    memory: dict[str, Any]

    def rows(self, inputs: Tensor) -> Tensor:
        """The perturbations for inputs (B, *S), (B, *S); 0 where no mini-batch has had that place, or where the shape changes."""
        return self._whole(inputs)[: len(inputs)]

    def keep(self, delta: Tensor) -> None:
        """Takes those of a mini-batch, (B, *S); a shorter one changes the first rows."""
        self.memory[_NAME] = torch.cat([delta.detach(), self._whole(delta)[len(delta) :]])

    def _whole(self, like: Tensor) -> Tensor:
        kept: Tensor | None = self.memory.get(_NAME)
        if kept is None or kept.shape[1:] != like.shape[1:]:
            return torch.zeros_like(like)
        kept = kept.to(like)
        more = len(like) - len(kept)
        return torch.cat([kept, kept.new_zeros(more, *kept.shape[1:])]) if more > 0 else kept
