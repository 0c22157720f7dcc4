"""A model's later run, compared with its first."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius.errors import UnsupportedError
from inradius.models.outputs import asked


def check_later_run(model: Callable[[Tensor], Tensor], x: Tensor, first: Tensor, *, bits: bool) -> None:
    """Raises ``UnsupportedError`` unless the model gives its first outputs (B, C) once more for the inputs x (B, *S).

    With ``bits`` a run on the CPU must give the same bits. Otherwise it may differ by rounding, because some of torch's sums have
    another order in every run.
    """
    with torch.no_grad():
        later = asked(model, x)
    exact = bits and x.device.type == "cpu"
    # half of the digits is more than rounding changes, and less than what a model means to change
    allowed = 0.0 if exact or not first.numel() else torch.finfo(first.dtype).eps ** 0.5 * float(first.abs().amax())
    if later.shape != first.shape or not bool(((later - first).abs() <= allowed).all()):
        raise UnsupportedError(
            f"{type(model).__name__} changes its own values from run to run: it gives other outputs for the same inputs after "
            "some runs than before; allowed are models whose values do not depend on earlier runs"
        )
