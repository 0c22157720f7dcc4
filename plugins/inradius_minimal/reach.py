"""The perturbation of smallest gauge that reaches a hyperplane: a projection in the set's own measure."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inradius import Oracles, PerExample
from inradius.box import room
from inradius.threat import expand
from inradius_minimal.hyperplane import shortest_l1, shortest_l2, shortest_linf
from inradius_minimal.radii import measure_of
from inradius_minimal.search import search

# sets whose shortest step has a closed form
_EXACT = {"linf": shortest_linf, "l2": shortest_l2, "l1": shortest_l1}


def reach(threat: Oracles, normal: Tensor, need: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """δ with ⟨normal, δ⟩ = need in the smallest scaled(t)(x), and t; two of (n, *S) and (n,).

    ``need`` (n,) may have either sign. Where no radius reaches it t is infinity, and δ goes far along the normal. In ℓ∞, ℓ2
    and ℓ1 with a box the answer is exact; on any other set t is searched with ``linear_max``, whose value grows with it.
    """
    sign = torch.where(need < 0, -1.0, 1.0).to(normal)
    normal, need = normal * expand(sign, normal), need * sign
    exact = _EXACT.get(measure_of(threat))
    return search(threat, normal, need, x) if exact is None else _exact(exact, threat, normal, need, x)


def _exact(
    shortest: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    threat: Oracles,
    normal: Tensor,
    need: Tensor,
    x: Tensor,
) -> tuple[Tensor, Tensor]:
    ball: Any = threat.threat if isinstance(threat, PerExample) else threat
    low, high = room(x.flatten(1), ball.bounds)
    step, length = shortest(normal.flatten(1), low, high, need[:, None])
    radius = ball.eps * (threat.factors.to(length) if isinstance(threat, PerExample) else torch.ones_like(length))
    # of a set that is a point no radius reaches anything
    return step.view_as(x), torch.where(radius > 0, length / radius, torch.inf)
