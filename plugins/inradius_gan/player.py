"""One of the two players: a network with its optimiser."""

import math
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius import DivergenceError, Run


@attrs.define(eq=False)
class Player:
    """A network, its optimiser, and its name for messages."""

    name: str
    network: nn.Module
    optimizer: torch.optim.Optimizer

    def descend(self, losses: Tensor, run: Run, rate: float) -> float:
        """The mean of the losses (B,) over all processes, after one step along its gradient at this rate in this
        player's weights.

        Raises ``DivergenceError`` where the mean or its gradient is not finite; the weights then stay unchanged.
        """
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        mean = run.mean(losses)
        self._check_finite("loss", mean, run)
        count = float(run.processes.sum(torch.tensor(float(len(losses)), device=run.device)))
        # autograd.grad and not backward(), which would also leave gradients in the other player
        found = torch.autograd.grad(losses.sum() / count, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, found, strict=True):
            parameter.grad = gradient
        run.processes.sum_gradients(parameters)
        norm = float(nn.utils.clip_grad_norm_(parameters, math.inf))
        self._check_finite("gradient's norm", norm, run)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return mean

    def _check_finite(self, what: str, value: float, run: Run) -> None:
        if math.isfinite(value):
            return
        kept = f"the weights after epoch {run.epoch} are in {run.files.last}" if run.epoch else "no epoch was finished"
        raise DivergenceError(
            f"training diverged: the {self.name}'s {what} is {value} in epoch {run.epoch + 1}; {kept}; try a smaller lr"
        )

    def state(self) -> dict[str, Any]:
        return {"network": dict(self.network.state_dict()), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
