"""Sums and norms whose rounding error is small and known in advance, whatever order the machine adds in."""

import math

import torch
from torch import Tensor


def _run(size: int) -> int:
    # two stages of about √n additions each; runs twice as long as their number are faster and cost a quarter more error
    return max(1, 2 * math.isqrt(size))


def total(terms: Tensor) -> Tensor:
    """Σ of the last axis, added in runs and then over the runs, (..., n) -> (...)."""
    size = terms.shape[-1]
    run = _run(size)
    whole = size - size % run
    runs = terms[..., :whole].reshape(*terms.shape[:-1], whole // run, run).sum(-1).sum(-1)
    return runs if whole == size else runs + terms[..., whole:].sum(-1)


def upper(value: Tensor, size: int) -> Tensor:
    """A number not below the exact value, for a ``total`` of ``size`` products that are ≥ 0, (...) -> (...).

    Each product passes at most run + runs additions (Higham 2002, 4.2), and 16 further roundings are allowed for: room,
    radius, scaling, threshold and product. Underflow is left out: numbers below the smallest normal one count as 0.
    """
    run = _run(size)
    unit = torch.finfo(value.dtype).eps / 2
    return value * (1 + (run + size // run + 16) * unit)


def amplifier(dtype: torch.dtype) -> float:
    """A power of two by which numbers up to 1 can be multiplied so that their squares neither overflow nor underflow."""
    return 2.0 ** int(0.39 * math.log2(torch.finfo(dtype).max))


def length_within_unit(z: Tensor) -> Tensor:
    """‖z‖₂ for |z| ≤ 1, accurate down to 30 orders of magnitude below 1, (..., n) -> (..., 1)."""
    factor = amplifier(z.dtype)
    return total((z * factor).square_()).sqrt_().unsqueeze(-1) / factor


def peak(z: Tensor) -> Tensor:
    """max |z|, or 1 where all are 0, to divide by, (..., n) -> (..., 1)."""
    largest = z.abs().amax(-1, keepdim=True)
    return torch.where(largest > 0, largest, torch.ones_like(largest))


def settle(point: Tensor, length: Tensor, radius: Tensor) -> Tensor:
    """The point, scaled back where rounding left its length above the radius, (B, K, n), (B, K), (B or 1, 1, 1).

    So far back that its length is below the radius in whatever order it is added up again.
    """
    long = length > radius.squeeze(-1)
    if not bool(long.any()):
        return point
    target = radius.squeeze(-1) * (1 - 8 * torch.finfo(point.dtype).eps)
    return point * torch.where(long, target / length, torch.ones_like(length)).unsqueeze(-1)
