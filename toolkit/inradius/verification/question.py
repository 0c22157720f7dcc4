"""The question whether a property holds around one input, and who accepts a violating input."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from inradius.outcomes.property import Property
from inradius.sets.oracles import Oracles


@attrs.frozen(eq=False)
class Witness:
    """An input (1, *S) that violates the property, and the outputs (1, O) with which it does."""

    point: Tensor
    outputs: Tensor


@attrs.frozen(eq=False)
class Question:
    """Does ``prop`` hold for f(x + δ), δ ∈ Δ(x), for one input x (1, *S)?

    ``accept`` decides about a violating input: it answers with the witness, which may be a neighbour of the input, or with None
    where the input is outside of the region or its violation is a matter of rounding. ``refutable`` is False where it accepts no
    input whatever.
    """

    model: nn.Module
    x: Tensor
    threat: Oracles
    prop: Property
    accept: Callable[[Tensor], Witness | None]
    refutable: bool = True

    def values(self, points: Tensor) -> Tensor:
        """The rows of the property at inputs, (N, *S) -> (N, K)."""
        outputs: Tensor = self.model(points)
        return self.prop.to(outputs.dtype).values(outputs.flatten(1))

    def repeated(self, count: int) -> tuple[Tensor, Oracles]:
        """The input and its set, ``count`` times."""
        rows = torch.zeros(count, dtype=torch.int64, device=self.x.device)
        return self.x[rows], self.threat.select(rows)
