"""Sharpness-aware minimisation."""

import attrs

from inradius.components.validators import as_float, flag, radius
from inradius.training.descent import Descent
from inradius.training.slots import Update
from inradius_training.updates.shifted_weights import ascent, gradients, shifted, untracked


@attrs.frozen(kw_only=True)
class SAM(Update):
    """min_w max_v L(w + v) over ‖v‖₂ ≤ ρ, by one step: v = ρ g / ‖g‖, with the norm of all weights together, then −∇L(w + v).

    Both gradients use the same perturbations of the inputs; with ``reattack`` the second one uses new ones, found at w
    + v. BatchNorm's running statistics come from the pass at w, and the optimiser steps from w. Source: foret2021.
    """

    # Foret et al. 2021, for CIFAR-10
    rho: float = attrs.field(default=0.05, validator=radius, converter=as_float)
    reattack: bool = attrs.field(default=False, validator=flag)

    def __call__(self, descent: Descent) -> None:
        descent.gradient()
        uphill = ascent(gradients(descent.parameters), self.rho)
        with untracked(descent.model), shifted(descent.parameters, uphill):
            descent.gradient(reattack=self.reattack)
        descent.step()
