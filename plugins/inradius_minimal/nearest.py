"""The nearest of several linearised decision boundaries."""

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch
from inradius_minimal.reach import reach


@attrs.frozen(eq=False)
class Nearest:
    """The shortest ``step`` (n, *S) to a boundary, its ``distance`` (n,), the lead ``value`` (n,) and its ``gradient`` (n, *S)."""

    step: Tensor
    distance: Tensor
    value: Tensor
    gradient: Tensor

    @classmethod
    def of(cls, part: AttackBatch, delta: Tensor, leads: list[tuple[Tensor, Tensor]]) -> "Nearest":
        """The shortest step of those to the classes of ``leads``, each a lead at x + δ with its gradient, (n,) and (n, *S)."""
        rows = torch.arange(len(part), device=delta.device).repeat(len(leads))
        values, gradients = (torch.cat(each) for each in zip(*leads, strict=True))
        steps, distances = reach(part.threat.select(rows), gradients, -values, (part.x + delta)[rows])
        best = distances.view(len(leads), -1).argmin(0)
        place = best * len(part) + rows[: len(part)]
        return cls(steps[place], distances[place], values[place], gradients[place])
