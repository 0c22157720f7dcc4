"""Lambert's W function of exponentials that overflow or underflow."""

import torch
from torch import Tensor

# Newton's method doubles the digits. Four steps from the first guess reach double precision; the others cost little.
_STEPS = 6


def lambert_w_exp(log: Tensor) -> Tensor:
    """W(exp(L)), the v > 0 with v + log v = L, for any finite L, elementwise.

    Newton's method on v + log v, with steps that stay > 0. It does not overflow for large L and does not lose digits
    for small L.
    """
    tiny = torch.finfo(log.dtype).tiny
    small = torch.exp(log.clamp_max(1))
    v = torch.where(log > 1, log - log.clamp_min(1).log(), small / (1 + small)).clamp_min(tiny)
    for _ in range(_STEPS):
        v = (v * (1 + log - v.log()) / (1 + v)).clamp_min(tiny)
    return v
