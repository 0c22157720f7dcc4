"""The shortest step that reaches a hyperplane within a box, in ℓ∞, ℓ2 and ℓ1; exact.

min ‖z‖ over ⟨w, z⟩ = need, low ≤ z ≤ high, with need ≥ 0 and low ≤ 0 ≤ high; all of rows (n, m), need (n, 1). Where the
box ends before the hyperplane, z is its corner farthest along w, and the length infinity. Source: croce2020fab.
"""

import torch
from torch import Tensor

Step = tuple[Tensor, Tensor]


def shortest_linf(w: Tensor, low: Tensor, high: Tensor, need: Tensor) -> Step:
    """z = sign(w) min(t, most): the step (n, m) and its largest coordinate (n,)."""
    side = w.sign()
    most = _corner(side, low, high).abs_()
    t = _pace(w.abs(), None, most, need)
    z = torch.clamp(side.mul_(t.clamp(max=_last(w))), low, high)
    return z, _length(t, torch.minimum(t, most.amax(1, keepdim=True)).squeeze(1))


def shortest_l2(w: Tensor, low: Tensor, high: Tensor, need: Tensor) -> Step:
    """z = clip(t w, low, high): the step (n, m) and its Euclidean length (n,)."""
    most = _corner(w.sign(), low, high).abs_()
    peak = _peak(w)
    unit = w / peak
    size = unit.abs()
    t = _pace(size, size, most, need / peak)
    z = torch.clamp(unit.mul_(t.clamp(max=_last(w))), low, high)
    return z, _length(t, torch.linalg.vector_norm(z, dim=1))


def shortest_l1(w: Tensor, low: Tensor, high: Tensor, need: Tensor) -> Step:
    """The coordinates of the largest |w| go as far as the box lets them: the step (n, m) and Σ|z| (n,)."""
    most = _corner(w.sign(), low, high).abs_()
    price, order = w.abs().sort(dim=1, descending=True, stable=True)
    least = torch.finfo(w.dtype).tiny
    gain = price * most.gather(1, order)
    spent = torch.cat([torch.zeros_like(need), gain.cumsum(1)[:, :-1]], dim=1)
    amount = torch.minimum(((need - spent) / price.clamp(min=least)).clamp(min=0), most.gather(1, order))
    z = torch.zeros_like(w).scatter(1, order, amount).copysign(w)
    reached = gain.sum(1, keepdim=True) >= need
    return z, _length(torch.where(reached & (need >= 0), 0.0, torch.inf), amount.sum(1))


def _corner(side: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The room of each coordinate along its sign, 0 where the sign is 0, the largest number without a box, (n, m)."""
    return torch.clamp(side * _last(side), low, high)


def _last(like: Tensor) -> float:
    return torch.finfo(like.dtype).max


def _peak(w: Tensor) -> Tensor:
    largest = w.abs().amax(1, keepdim=True)
    return torch.where(largest > 0, largest, torch.ones_like(largest))


def _length(t: Tensor, length: Tensor) -> Tensor:
    return torch.where(torch.isfinite(t.squeeze(1)), length, torch.inf)


def _pace(value: Tensor, pace: Tensor | None, most: Tensor, need: Tensor) -> Tensor:
    """The smallest t with Σ value · min(t · pace, most) ≥ need, infinity where there is none, (n, 1); without pace it is 1.

    Newton's method from the left on a concave piecewise linear function: no step passes the solution, coordinates that are
    full stay so, and the last step is exact.
    """
    t = torch.zeros_like(need)
    # without a box no coordinate is ever full
    full_gain, rise = (value * most).nan_to_num_(nan=0.0, posinf=0.0), value if pace is None else value * pace
    # numbers instead of truth values, whose operations take several times as long
    full, free = torch.empty_like(value), torch.empty_like(value)
    for _ in range(value.shape[1] + 1):
        reached = t if pace is None else t * pace
        gained = torch.ge(reached, most, out=full).mul_(full_gain).sum(1, keepdim=True)
        slope = torch.lt(reached, most, out=free).mul_(rise).sum(1, keepdim=True)
        ahead = torch.where(slope > 0, (need - gained) / slope, torch.where(gained >= need, t, torch.inf))
        moving = ahead > t * (1 + 4 * torch.finfo(t.dtype).eps)
        if not bool(moving.any()):
            break
        # rows that have arrived stay as they are, whatever their batch mates do
        t = torch.where(moving, ahead, t)
    return t
