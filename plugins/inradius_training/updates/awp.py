"""Adversarial weight perturbation."""

import attrs

from inradius.components.validators import as_float, flag, radius, share
from inradius.training.descent import Descent
from inradius.training.slots import Update
from inradius_training.regularizers.weights import weights
from inradius_training.updates.shifted_weights import shifted, unit, untracked


@attrs.frozen(kw_only=True)
class AWP(Update):
    """min_w max_v L(w + v) over ‖v_l‖ ≤ γ ‖w_l‖ for each layer l, by one step: v_l = γ ‖w_l‖ g_l / ‖g_l‖, then −∇L(w + v).

    Only weights of linear, convolutional and similar layers are perturbed; biases and normalisation are not. Both
    gradients use the same perturbations of the inputs; with ``reattack`` the second one uses new ones, found at w + v.
    BatchNorm's running statistics come from the pass at w + v. The optimiser steps from w, so weight decay shrinks w
    and not w + v. Source: wu2020awp.
    """

    # Wu et al. 2020, for adversarial training; 0.005 for TRADES
    gamma: float = attrs.field(default=0.01, validator=radius, converter=as_float)
    # the share of the run before the first perturbation: 0 for adversarial training, 10 of 200 epochs for TRADES
    warmup: float = attrs.field(default=0.0, validator=share, converter=as_float)
    reattack: bool = attrs.field(default=False, validator=flag)

    def __call__(self, descent: Descent) -> None:
        if descent.run.progress >= self.warmup:
            self._perturbed(descent)
        else:
            descent.gradient()
        descent.step()

    def _perturbed(self, descent: Descent) -> None:
        """Leaves the gradient at w + v in the weights."""
        with untracked(descent.model):
            descent.gradient()
        layers = [(weight, weight.grad) for weight in weights(descent.model) if weight.grad is not None]
        steps = [self.gamma * weight.detach().norm() * unit(grad, grad.norm()) for weight, grad in layers]
        with shifted([weight for weight, _ in layers], steps):
            descent.gradient(reattack=self.reattack)
