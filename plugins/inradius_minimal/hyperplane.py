"""The shortest step that reaches a hyperplane within a box, in ℓ∞, ℓ2 and ℓ1; exact.

min ‖z‖ over ⟨w, z⟩ = need, low ≤ z ≤ high, with need ≥ 0 and low ≤ 0 ≤ high; all of rows (n, m), need (n, 1). Where the
box ends before the hyperplane, z is its corner farthest along w, and the length infinity. Source: croce2020fab.
"""

import torch
from torch import Tensor

Step = tuple[Tensor, Tensor]


def shortest_linf(w: Tensor, low: Tensor, high: Tensor, need: Tensor) -> Step:
    """z = sign(w) min(t, room): the step (n, m) and its largest coordinate (n,)."""
    room = _room(w, low, high)
    t = _pace(w.abs(), torch.ones_like(w), room, need)
    z = torch.minimum(t, room).copysign(w)
    return z, _length(t, z.abs().amax(1))


def shortest_l2(w: Tensor, low: Tensor, high: Tensor, need: Tensor) -> Step:
    """z = clip(t w, low, high): the step (n, m) and its Euclidean length (n,)."""
    room = _room(w, low, high)
    unit = w.abs() / _peak(w)
    t = _pace(unit, unit, room, need / _peak(w))
    # 0 · ∞ is where nothing moves
    z = torch.minimum((unit * t).nan_to_num(nan=0.0, posinf=torch.inf), room).copysign(w)
    return z, _length(t, torch.linalg.vector_norm(z, dim=1))


def shortest_l1(w: Tensor, low: Tensor, high: Tensor, need: Tensor) -> Step:
    """The coordinates of the largest |w| go as far as the box lets them: the step (n, m) and Σ|z| (n,)."""
    room = _room(w, low, high)
    price, order = w.abs().sort(dim=1, descending=True, stable=True)
    least = torch.finfo(w.dtype).tiny
    gain = price * room.gather(1, order)
    spent = torch.cat([torch.zeros_like(need), gain.cumsum(1)[:, :-1]], dim=1)
    amount = torch.minimum(((need - spent) / price.clamp(min=least)).clamp(min=0), room.gather(1, order))
    z = torch.zeros_like(w).scatter(1, order, amount).copysign(w)
    reached = gain.sum(1, keepdim=True) >= need
    return z, _length(torch.where(reached & (need >= 0), 0.0, torch.inf), amount.sum(1))


def _room(w: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How far each coordinate may go along w, 0 where w is, (n, m)."""
    return torch.where(w > 0, high, torch.where(w < 0, -low, torch.zeros_like(w)))


def _peak(w: Tensor) -> Tensor:
    largest = w.abs().amax(1, keepdim=True)
    return torch.where(largest > 0, largest, torch.ones_like(largest))


def _length(t: Tensor, length: Tensor) -> Tensor:
    return torch.where(torch.isfinite(t.squeeze(1)), length, torch.inf)


def _pace(value: Tensor, pace: Tensor, room: Tensor, need: Tensor) -> Tensor:
    """The smallest t with Σ value · min(t · pace, room) ≥ need, infinity where there is none, (n, 1).

    Newton's method from the left on a concave piecewise linear function: no step passes the solution, coordinates that are
    full stay so, and the last step is exact.
    """
    t = torch.zeros_like(need)
    for _ in range(value.shape[1] + 1):
        full = t * pace >= room
        gained = torch.where(full, value * room, 0.0).sum(1, keepdim=True)
        slope = torch.where(full, 0.0, value * pace).sum(1, keepdim=True)
        ahead = torch.where(slope > 0, (need - gained) / slope, torch.where(gained >= need, t, torch.inf))
        moving = ahead > t * (1 + 4 * torch.finfo(t.dtype).eps)
        if not bool(moving.any()):
            break
        # rows that have arrived stay as they are, whatever their batch mates do
        t = torch.where(moving, ahead, t)
    return t
