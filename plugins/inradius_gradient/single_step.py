"""One step of ascent from a start, for the attacks that take a single gradient."""

import torch
from torch import Tensor

from inradius import AttackBatch, Objective, Observer
from inradius.attacks.ascent import gradient_of


def climb_once(part: AttackBatch, start: Tensor, objective: Objective, size: float, observe: Observer | None) -> Tensor:
    """project(start + size · steepest(gradient at start)), a point of Δ(x) even where the start is none, (n, *S)."""
    point = start.detach().requires_grad_()
    with torch.enable_grad():
        _, value = part.score(point, objective)
    step = part.threat.steepest(gradient_of(value, point), part.x, start, rng=part.rng)
    delta = part.threat.project(start + size * step, part.x)
    if observe is not None:
        observe(0, start)
        observe(1, delta)
    return delta
