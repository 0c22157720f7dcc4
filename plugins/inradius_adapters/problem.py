"""The question to another library: the examples, and the set in the words that it knows."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from inradius import Oracles, PerExample, UnsupportedError
from inradius.sets.arithmetic.sides import numbers_alone
from inradius_adapters.bridge import Bridge


@attrs.frozen(eq=False)
class AttackProblem:
    """Examples x (B, *S) with labels or goals ``target`` (B,), the box, and the ball; without one ``order`` is None."""

    model: Bridge
    x: Tensor
    target: Tensor
    targeted: bool
    bounds: tuple[float, float] | None
    order: float | None
    eps: float | None
    seed: int

    @property
    def unit(self) -> Tensor:
        """The images in a box of [0, 1], for libraries that know no other, (B, *S)."""
        low, width = self._box
        return ((self.x - low) / width).clamp(0, 1)

    def back(self, found: Tensor) -> Tensor:
        """Images in [0, 1] as images in the box, (B, *S)."""
        unit, (_, width) = self.unit, self._box
        # the way there and back again would move what the attack left alone
        moved = found.detach().to(unit).view_as(unit) - unit
        return self.x + moved * width

    @property
    def _box(self) -> tuple[float, float]:
        low, high = self.bounds or (0.0, 1.0)
        return low, high - low


def groups(threat: Oracles, count: int, device: torch.device) -> Iterator[tuple[Oracles, Tensor]]:
    """The set, and the examples that it is for: one pair for each radius."""
    if not count:
        return
    if isinstance(threat, PerExample):
        for factor in sorted(set(threat.factors.tolist())):
            yield threat.threat.scaled(factor), (threat.factors == factor).nonzero().squeeze(1).to(device)
    else:
        yield threat, torch.arange(count, device=device)


def ball_of(threat: Oracles) -> tuple[float, float] | tuple[None, None]:
    """Order and radius of a set that is an ℓp ball within its box."""
    norm, radius = threat.norm, threat.radius
    return (None, None) if norm is None or radius is None else (norm.order, float(radius))


def box_of(threat: Oracles, asker: str) -> tuple[float, float] | None:
    """The box of valid inputs that all members of the set share."""
    found = [part.bounds for part in threat.members()]
    if any(box is not None and numbers_alone(box) is None for box in found):
        raise UnsupportedError(
            f"{asker} takes one number for either side of the box of valid inputs, and {threat} has several; allowed are "
            "sets with bounds=(low, high) of two numbers, or None"
        )
    if len(boxes := {numbers_alone(box) for box in found}) > 1:
        raise UnsupportedError(f"{asker} knows one box of valid inputs, and the members of {threat} have several")
    return boxes.pop()
