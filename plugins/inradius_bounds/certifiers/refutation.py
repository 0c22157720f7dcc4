"""A quick search for a perturbation that refutes a property."""

import torch
from torch import Tensor, nn

from inradius import Oracles, Property
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius.models.slope import slope


def refuted(model: nn.Module, x: Tensor, threat: Oracles, prop: Property, steps: int) -> Tensor:
    """True where a point of Δ(x) was found at which a clause of the property fails, (B,).

    For a convex set, Frank-Wolfe steps lower the weakest clause, and their points lie in the set. For any other set the
    maximisers of the linear models are tried. False proves nothing.
    """
    delta, found = torch.zeros_like(x), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for step in range(steps):
        at = delta.detach().requires_grad_()
        with torch.enable_grad():
            value = smallest(model, x + at, prop)
            gradient = slope(value, at)
        found |= (value.detach() <= 0) & threat.contains(delta, x)
        vertex = threat.linear_max(-gradient, x).detach()
        delta = delta + 2 / (step + 2) * (vertex - delta) if threat.convex else vertex
    with torch.no_grad():
        return found | ((smallest(model, x + delta, prop) <= 0) & threat.contains(delta, x))


def smallest(model: nn.Module, points: Tensor, prop: Property) -> Tensor:
    """The weakest clause of the property, (B, *S) -> (B,)."""
    proof = current_certificate()
    # bounds may be computed in a wider type than the model's
    logits: Tensor = model(points if proof is None else points.to(proof.dtype)).to(points.dtype)
    return prop.weakest(prop.values(logits.flatten(1)))
