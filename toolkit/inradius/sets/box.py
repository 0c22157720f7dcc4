"""The box of valid inputs: how far each coordinate may move, and whether inputs and perturbations keep to it."""

import torch
from torch import Tensor

from inradius.errors import InputError

Box = tuple[float, float] | None

# An input may leave the box by this share of its width: data that was scaled and unscaled does.
_SLACK = 1e-6


def room(x: Tensor, bounds: Box) -> tuple[Tensor, Tensor]:
    """How far each coordinate may move down (≤ 0) and up (≥ 0), two of x's shape."""
    if bounds is None:
        return torch.full_like(x, -torch.inf), torch.full_like(x, torch.inf)
    return (bounds[0] - x).clamp(max=0), (bounds[1] - x).clamp(min=0)


def grain(bounds: Box, dtype: torch.dtype) -> float:
    """The rounding error of an input near a bound."""
    return 0.0 if bounds is None else 4 * torch.finfo(dtype).eps * max(abs(bounds[0]), abs(bounds[1]))


def excess(delta: Tensor, x: Tensor, bounds: Box, dtype: torch.dtype) -> Tensor:
    """The largest distance of a coordinate of δ from its room, 0 up to the rounding of ``dtype``, (B, n) -> (B,)."""
    low, high = room(x, bounds)
    over = torch.maximum(low - delta, delta - high).amax(-1).clamp(min=0)
    return over * (over > grain(bounds, dtype))


def check_inside(x: Tensor, bounds: Box, asker: object) -> None:
    """Raises ``InputError`` where an input lies outside the box."""
    if bounds is None or not x.numel():
        return
    smallest, largest = (side.double() for side in x.flatten(1).aminmax(dim=1))
    slack = _SLACK * (bounds[1] - bounds[0])
    bad = (smallest < bounds[0] - slack) | (largest > bounds[1] + slack)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise InputError(
            f"input {row} is in [{float(smallest[row]):.6g}, {float(largest[row]):.6g}], but {asker} allows "
            f"[{bounds[0]:g}, {bounds[1]:g}]; put the normalisation into the model (a Normalize layer) or pass bounds=..."
        )


def movable(c: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The direction c with 0 where the room on its side is 0, (..., n)."""
    last = torch.finfo(c.dtype).max
    return torch.clamp(c, low.sign() * last, high.sign() * last)


def corner(c: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The point of a bounded room that goes farthest along c, 0 where c is, (..., n)."""
    return torch.where(c > 0, high, low) * c.sign().abs()


# A sum of n terms is added in this many runs: the error bound shrinks by nearly as much, for a thin matrix instead of a vector.
_RUNS = 8


def box_span(c: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds of ⟨c, δ⟩ for low ≤ δ ≤ high around 0, (B, K, n), two of (B, 1, n) -> two of (B, K).

    ⟨c, middle⟩ ± ⟨|c|, half width⟩, two matrix products for both sides. As |middle| ≤ half width, either product is wrong
    by at most (run + runs + 4) u ⟨|c|, half width⟩, whatever order a run is added in (Higham 2002, 3.1).
    """
    size = c.shape[-1]
    run = -(-size // _RUNS)
    member = torch.arange(size, device=c.device)[:, None] // run == torch.arange(_RUNS, device=c.device)
    middle, half = (low + high) / 2, (high - low) / 2
    center = (c @ (middle.transpose(1, 2) * member)).sum(2)
    spread = (c.abs() @ (half.transpose(1, 2) * member)).sum(2)
    spread = spread * (1 + (run + _RUNS + 4) * torch.finfo(c.dtype).eps)
    return center - spread, center + spread
