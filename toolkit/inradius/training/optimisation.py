"""The optimiser of a run, and what goes with its steps: gradients over all processes, precision, averaged weights."""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from inradius.models.modes import at_least
from inradius.training.checks import check_finite
from inradius.training.precision import GradientOverflowError, Precision

if TYPE_CHECKING:
    from inradius.training.run import Run


class Optimisation:
    """What moves the weights of a model, as the recipe of a run says."""

    def __init__(self, run: "Run") -> None:
        recipe = run.recipe
        self._run = run
        self.optimizer = recipe.optimise(run.model.parameters())
        self.precision = Precision(recipe.precision, run.device)
        self._average: AveragedModel | None = None
        if recipe.ema is not None:
            # BatchNorm's statistics are those of the last step: averages of averages would lag behind the weights
            mixed = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            self._average = AveragedModel(run.model, multi_avg_fn=mixed)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    @property
    def averaged(self) -> nn.Module | None:
        """The moving average of the weights, None where none is kept."""
        return None if self._average is None else self._average.module

    def backward(self, losses: Tensor) -> float:
        """The mean of the losses (B,) or (k, B); leaves the gradient to descend along in the weights, clipped."""
        run = self._run
        rows = at_least(losses if losses.ndim == 2 else losses[None], torch.float32)
        mean = run.mean(rows)
        check_finite(run, "loss", mean)
        count = float(run.processes.sum(torch.tensor(float(rows.shape[1]), device=run.device)))
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision.scaling(self.parameters) as scaled:
            run.recipe.direction(scaled(rows / count), self.parameters, run)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, run.recipe.clip or math.inf))
        if self.precision.scales and not math.isfinite(norm) and not self.precision.exhausted:
            raise GradientOverflowError(f"the gradient's norm is {norm} at the scale {self.precision.scale}")
        check_finite(run, "gradient's norm", norm)
        return mean

    def apply(self) -> None:
        """The optimiser's step along the gradients in the weights, at the scheduled learning rate."""
        run = self._run
        rate = run.recipe.rate(run.progress) * run.factors["lr"]
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.precision.stepped()
        if self._average is not None:
            self._average.update_parameters(run.model)

    def skip(self) -> None:
        """Leaves a step out whose gradient was too large for float16."""
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.overflowed()
        self._run.log(skipped=1.0)

    def state_dict(self) -> dict[str, Any]:
        return {
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.load_state_dict(state["precision"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
