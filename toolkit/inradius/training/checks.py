"""Checks of a step of training."""

import math

from torch import Tensor

from inradius.errors import DivergenceError, PluginError
from inradius.training.state import RunState


def check_losses(defense: object, losses: Tensor, count: int) -> None:
    """Raises ``PluginError`` for losses that were reduced."""
    if losses.ndim not in (1, 2) or losses.shape[-1] != count:
        raise PluginError(
            f"{defense} gave a loss of shape {tuple(losses.shape)}; it must be one number per example, "
            f"not reduced: ({count},), or a row of them for each of several perturbations"
        )


def check_finite(run: RunState, name: str, value: float) -> None:
    """Raises ``DivergenceError`` where the number is not finite."""
    if math.isfinite(value):
        return
    kept = f"the weights after epoch {run.epoch} are in {run.files.last}" if run.epoch else "no epoch was finished"
    raise DivergenceError(
        f"training diverged: the {name} is {value} in epoch {run.epoch + 1}; {kept}; "
        "try a smaller lr, clip=1.0 or a slower schedule of the radius"
    )
