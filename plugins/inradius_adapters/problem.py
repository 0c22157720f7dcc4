"""What another library is asked: the examples, and the set in the words that it knows."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from inradius import Oracles, PerExample, UnsupportedError
from inradius.sets.box import Box
from inradius_adapters.bridge import Bridge


@attrs.frozen(eq=False)
class Problem:
    """Examples x (B, *S) with labels or goals ``target`` (B,), the box, and the ball; without one ``order`` is None."""

    model: Bridge
    x: Tensor
    target: Tensor
    targeted: bool
    bounds: Box
    order: float | None
    eps: float | None
    seed: int


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


def box_of(threat: Oracles, asker: str) -> Box:
    """The box of valid inputs that all parts of the set share."""
    found = {part.bounds for part in threat.members()}
    if len(found) > 1:
        raise UnsupportedError(f"{asker} knows one box of valid inputs, and the parts of {threat} have several")
    box: Box = found.pop()
    return box
