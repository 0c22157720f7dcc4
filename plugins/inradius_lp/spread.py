"""The step of steepest ascent in ℓ1 that moves several coordinates at once."""

import torch
from torch import Tensor


def spread(gradient: Tensor, free: Tensor, radius: Tensor, count: Tensor) -> Tensor:
    """sign(gradient) · radius / k on the k largest |gradient| among the free coordinates, (B, 1, n).

    free (B, 1, n) says which coordinates can move; radius (B or 1, 1, 1); count (B,) is k, and where fewer coordinates can
    move, those share the radius. Source: maini2020.
    """
    score = gradient.abs() * free
    most = min(int(count.max()), score.shape[-1]) if len(count) else 0
    top, places = score.topk(most, dim=-1)
    chosen = (torch.arange(most, device=score.device) < count[:, None, None]) & (top > 0)
    step = radius / chosen.sum(-1, keepdim=True).clamp(min=1)
    signs = gradient.sign().gather(-1, places)
    return torch.zeros_like(gradient).scatter_(-1, places, signs * chosen * step)
