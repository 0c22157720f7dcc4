"""Sums and norms whose rounding error is small and known in advance, whatever order the machine adds in.

A sum of n terms is added in two stages of about √n terms, so that each passes about 2 √n additions, and is wrong by at most
that many units of Σ|terms| (Higham 2002, 3.1 and 4.2). Underflow takes at most the smallest normal number from each product and
each sum, as kernels may flush what is below it.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from inradius.sets.arithmetic.outward import above, smallest


@lru_cache(maxsize=256)
def runs(size: int) -> tuple[int, int]:
    """The length of the runs in which ``total`` adds, and their number, for so many terms; without a rest if possible."""
    most = max(1, 2 * math.isqrt(size))
    # runs twice as long as their number are faster than √n of √n, and cost a quarter more error at most
    divisors = (run for run in range(most, most * 7 // 10, -1) if size % run == 0)
    run = next(divisors, min(most, max(1, size)))
    return run, size // run


def depth(size: int) -> int:
    """The most additions that a term of ``total`` passes, for so many terms."""
    return sum(runs(size)) + 1


def share(roundings: int, dtype: torch.dtype) -> float:
    """γ with |rounded − exact| ≤ γ |exact| and ≤ γ |rounded| after so many roundings."""
    units = roundings * torch.finfo(dtype).eps / 2
    return units / (1 - units) if units < 1 else math.inf


def total(terms: Tensor) -> Tensor:
    """Σ of the last axis, added in runs and then over the runs, (..., n) -> (...)."""
    size = terms.shape[-1]
    run, count = runs(size)
    whole = run * count
    found = terms[..., :whole].reshape(*terms.shape[:-1], count, run).sum(-1).sum(-1)
    return found if whole == size else found + terms[..., whole:].sum(-1)


def added(terms: Tensor, roundings: int = 1) -> tuple[Tensor, Tensor]:
    """Σ of the last axis and a bound on its error, without gradient, for terms that were rounded so often, (..., n) -> two (...).

    The terms may have underflown: each has lost the smallest normal number at most.
    """
    size, dtype = terms.shape[-1], terms.dtype
    weight = total(terms.detach().abs())
    unit = share(depth(size) + roundings + 4, dtype) * (1 + share(depth(size), dtype))
    return total(terms), weight * above(unit, dtype) + 4 * size * smallest(dtype)


def upper(value: Tensor, size: int, roundings: int = 16) -> Tensor:
    """A number not below the exact value, for a ``total`` of ``size`` products that are ≥ 0, (...) -> (...).

    Beside the additions so many further roundings are allowed for. Underflow is left to ``recovered``.
    """
    return value * above(1 + share(depth(size) + roundings + 1, value.dtype), value.dtype)


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
