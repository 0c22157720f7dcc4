"""The perturbation of smallest gauge that reaches a hyperplane: a projection in the set's own measure."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius import Oracles
from inradius.sets.examples import expand
from inradius.sets.norm import L1, L2, LINF
from inradius_minimal.hyperplane import shortest_l1, shortest_l2, shortest_linf
from inradius_minimal.search import search

# balls whose shortest step has a closed form
_EXACT = {LINF: shortest_linf, L2: shortest_l2, L1: shortest_l1}


def reach(threat: Oracles, normal: Tensor, need: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """δ with ⟨normal, δ⟩ = need in the smallest scaled(t)(x), and t; two of (n, *S) and (n,).

    ``need`` (n,) may have either sign. Where no radius reaches it t is infinity, and δ goes far along the normal. In ℓ∞, ℓ2
    and ℓ1 with a box the answer is exact; on any other set t is searched with ``linear_max``, whose value grows with it.
    """
    sign = torch.where(need < 0, -1.0, 1.0).to(normal)
    normal, need = normal * expand(sign, normal), need * sign
    exact = None if threat.measure is None else _EXACT.get(threat.measure)
    return search(threat, normal, need, x) if exact is None else _exact(exact, threat, normal, need, x)


def _exact(
    shortest: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    threat: Oracles,
    normal: Tensor,
    need: Tensor,
    x: Tensor,
) -> tuple[Tensor, Tensor]:
    low, high = (side.flatten(1) for side in threat.room(x))
    step, length = shortest(normal.flatten(1), low, high, need[:, None])
    radius = torch.as_tensor(threat.radius, dtype=torch.float64).to(length).expand_as(length)
    # of a set that is a point no radius reaches anything
    return step.view_as(x), torch.where(radius > 0, length / radius, torch.inf)
