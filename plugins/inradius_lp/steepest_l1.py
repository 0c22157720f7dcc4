"""The step of steepest ascent in ℓ1 that moves several coordinates at once."""

import torch
from torch import Tensor

from inradius.sets.arithmetic.sides import Side, clipped


def movers(gradient: Tensor, low: Tensor, high: Tensor, radius: Tensor, rounding: Side) -> Tensor:
    """1 where a coordinate has more room along the gradient than ``rounding``, else 0, (B, 1, n)."""
    room = torch.clamp(gradient.sign() * radius, low, high).abs_()
    return (room - clipped(radius / 2, most=rounding)).sign_().clamp_(min=0)


def spread(gradient: Tensor, free: Tensor, radius: Tensor, count: Tensor, most: int) -> Tensor:
    """sign(gradient) · radius / k on the k largest |gradient| among the free coordinates, (B, 1, n).

    free (B, 1, n) is 1 where a coordinate can move, else 0; radius (B or 1, 1, 1); count (B,) is k ≤ most, and where fewer
    coordinates can move, those share the radius. Source: maini2020.
    """
    score = gradient.abs() * free
    # as many for every batch, so that ties are broken in the same way
    top, places = score.topk(min(most, score.shape[-1]), dim=-1)
    chosen = (torch.arange(top.shape[-1], device=score.device) < count[:, None, None]) & (top > 0)
    step = radius / chosen.sum(-1, keepdim=True).clamp(min=1)
    signs = gradient.sign().gather(-1, places)
    return torch.zeros_like(gradient).scatter_(-1, places, signs * chosen * step)


def spread_evenly(gradient: Tensor, free: Tensor, radius: Tensor, count: Tensor) -> Tensor:
    """sign(gradient) · radius / k on the k = ``count`` (B,) largest |gradient| among the free coordinates, (B, 1, n).

    Coordinates that tie with the last of them move too. Source: croce2021.
    """
    score = gradient.abs() * free
    size = score.shape[-1]
    place = count.clamp(min=1, max=size)[:, None, None] - 1
    least = score.topk(int(place.max()) + 1 if len(place) else 1, dim=-1).values.gather(-1, place)
    chosen = (score >= least) & (score > 0)
    step = radius / chosen.sum(-1, keepdim=True).clamp(min=1)
    return gradient.sign() * chosen * step
