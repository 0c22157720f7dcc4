"""Lambert's W function of numbers too large or too small to write down."""

import torch
from torch import Tensor

# Newton's method doubles the digits; from the first guess four steps reach double precision, the others cost little.
_STEPS = 6


def lambert_w_exp(log: Tensor) -> Tensor:
    """W(exp(L)), the v > 0 with v + log v = L, for any finite L, elementwise.

    Newton on v + log v, whose steps stay > 0: it neither overflows for large L nor loses digits for small ones.
    """
    tiny = torch.finfo(log.dtype).tiny
    small = torch.exp(log.clamp_max(1))
    v = torch.where(log > 1, log - log.clamp_min(1).log(), small / (1 + small)).clamp_min(tiny)
    for _ in range(_STEPS):
        v = (v * (1 + log - v.log()) / (1 + v)).clamp_min(tiny)
    return v
