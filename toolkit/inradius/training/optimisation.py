"""The optimiser of a run, with the precision of its passes and the moving average of the weights."""

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from inradius.training.precision import Precision


class Optimisation:
    """The part of a run that moves the weights of a model, by its optimiser."""

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, precision: Precision, ema: float | None
    ) -> None:
        self.optimizer, self.precision = optimizer, precision
        self._model = model
        self._average: AveragedModel | None = None
        if ema is not None:
            # BatchNorm's statistics are those of the last step: averages of averages would lag behind the weights
            mixed = get_ema_multi_avg_fn(ema)  # type: ignore[no-untyped-call]
            self._average = AveragedModel(model, multi_avg_fn=mixed)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    @property
    def averaged(self) -> nn.Module | None:
        """The moving average of the weights, None where none is kept."""
        return None if self._average is None else self._average.module

    def apply(self, rate: float) -> None:
        """Takes the optimiser's step along the gradients in the weights, at this learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.precision.stepped()
        if self._average is not None:
            self._average.update_parameters(self._model)

    def skip(self) -> None:
        """Leaves a step out whose gradient was too large for float16."""
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.overflowed()

    def state_dict(self) -> dict[str, Any]:
        """The state of optimiser, precision and average."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts back the state that ``state_dict`` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.load_state_dict(state["precision"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
