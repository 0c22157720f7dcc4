"""The box of valid inputs: the room of each coordinate, and checks that inputs and perturbations keep to it."""

import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.sets.arithmetic.answers import rows_of
from inradius.sets.arithmetic.sides import Box as Box
from inradius.sets.arithmetic.sides import Side, beside, near, row_box, size

# An input may leave the box by this share of its width: data that was scaled and unscaled does.
_SLACK = 1e-6


def room(x: Tensor, bounds: Box) -> tuple[Tensor, Tensor]:
    """The distances that each coordinate may move down (≤ 0) and up (≥ 0), two of x's shape."""
    found = beside(bounds, x)
    if found is None:
        return torch.full_like(x, -torch.inf), torch.full_like(x, torch.inf)
    low, high = (near(side, x) for side in found)
    return (low - x).clamp(max=0), (high - x).clamp(min=0)


def grain(bounds: Box, dtype: torch.dtype) -> Side:
    """The rounding error of an input near a bound, one for all or one for each coordinate."""
    return 4 * torch.finfo(dtype).eps * size(bounds)


def excess(delta: Tensor, x: Tensor, bounds: Box, rounding: torch.dtype | None = None) -> Tensor:
    """The largest amount by which a coordinate of x + δ leaves the box ``bounds``, (B,); 0 without a box.

    Amounts within the rounding error of the type ``rounding`` (by default x's type) count as 0. Where x is outside the box,
    only what δ adds to its distance counts.
    """
    dtype = torch.promote_types(delta.dtype, x.dtype)
    if bounds is None:
        return torch.zeros(len(x), dtype=dtype, device=x.device)
    moved, rows, box = rows_of(delta, dtype), rows_of(x, dtype), row_box(bounds, x)
    low, high = room(rows, box)
    over = torch.maximum(low - moved, moved - high).clamp(min=0)
    return (over * (over > near(grain(box, rounding or x.dtype), over))).amax((1, 2))


def check_inside(x: Tensor, bounds: Box, asker: object) -> None:
    """Raises ``InputError`` where an input lies outside the box by more than 1e-6 of its width."""
    found = beside(bounds, x)
    if found is None or not x.numel():
        return
    low, high = (torch.as_tensor(side, dtype=torch.float64).to(x.device) for side in found)
    slack = _SLACK * (high - low)
    if low.ndim or high.ndim:
        numbers = x.double()
        bad = ((numbers < low - slack) | (numbers > high + slack)).flatten(1).any(1)
    else:
        smallest, largest = (side.double() for side in x.flatten(1).aminmax(dim=1))
        bad = (smallest < low - slack) | (largest > high + slack)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        told = f"input {row} is in [{float(x[row].min()):.6g}, {float(x[row].max()):.6g}]"
        raise InputError(f"{told}, but {asker} allows {_allowed(low, high)}; {_REMEDY}")


_REMEDY = "put the normalisation into the model (a Normalize layer) or pass bounds=..."


def _allowed(low: Tensor, high: Tensor) -> str:
    ends = f"[{float(low.min()):g}, {float(high.max()):g}]"
    return f"{ends} and less in some places" if low.ndim or high.ndim else ends


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
