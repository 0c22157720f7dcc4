"""Norms of the rows of a matrix that is only known through its products with random vectors.

For a matrix M and standard Cauchy numbers R, (M R)_j is a Cauchy number with the scale ‖row j‖₁. For normal R it is normal with
the deviation ‖row j‖₂. The median of |M R| estimates the first norm. The geometric mean of k such numbers gives an upper bound
that fails with a chosen probability. Chernoff's inequality bounds its lower tail:

    P(∏|Cᵢ|^{1/k} ≤ e^{−L}) ≤ exp(−k r(L)),   r(L) = t L + log cos(π t / 2) at t = (2 / π) arctan(2 L / π),

because E|C|^{−t} = 1 / cos(π t / 2). For normal numbers the bound comes from the quantile of χ². Source: li2007, vempala2005.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from inradius import ExampleRNG

Estimator = Literal["median", "geometric"]


def draws(order: float, rng: ExampleRNG, count: int, like: Tensor) -> Tensor:
    """Standard Cauchy (order 1) or normal (order 2) numbers, (B, count, *S) for ``like`` (B, *S)."""
    shape = (count, *like.shape[1:])
    if order == 2:
        return rng.normal(shape, dtype=like.dtype).to(like.device)
    # the clamp keeps the tangent's argument away from its poles
    uniform = rng.uniform(shape).clamp(2.0**-53, 1 - 2.0**-53)
    return torch.tan(math.pi * (uniform - 0.5)).to(like)


def norms(products: Tensor, order: float, estimator: Estimator, failure: float) -> Tensor:
    """The rows' norms from products (B, k, *S), (B, *S): estimates, or bounds that each fail with probability ``failure``."""
    size = products.abs()
    count = products.shape[1]
    if estimator == "median":
        # for an even count, the upper of the two middle numbers is taken
        return size.square().mean(1).sqrt() if order == 2 else size.kthvalue(count // 2 + 1, dim=1).values
    if order == 2:
        return size.square().sum(1).clamp(min=torch.finfo(size.dtype).tiny).sqrt() / math.sqrt(
            _chi_square(count, failure)
        )
    mean = size.clamp(min=torch.finfo(size.dtype).tiny).log().mean(1)
    return (mean + slack(count, failure)).exp()


def slack(count: int, failure: float) -> float:
    """The L at which the geometric mean of ``count`` numbers is below e^{−L} of the norm with probability ``failure``."""
    wanted = -math.log(failure) / count
    low, high = 0.0, 1.0
    while _rate(high) < wanted:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _rate(middle) < wanted else (low, middle)
    return high


def _rate(level: float) -> float:
    """r(L)."""
    inner = 2 * level / math.pi
    return 2 / math.pi * math.atan(inner) * level - 0.5 * math.log1p(inner * inner)


def _chi_square(count: int, failure: float) -> float:
    """The number that χ² with ``count`` degrees of freedom is below with probability ``failure``."""
    from scipy.stats import chi2

    return float(chi2.ppf(failure, count))
