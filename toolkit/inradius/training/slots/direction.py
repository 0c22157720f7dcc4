"""Directions: how several gradients become one."""

from abc import ABC, abstractmethod

import attrs
from torch import Tensor, nn

from inradius.components.component import Component
from inradius.training.state import RunState


@attrs.frozen(kw_only=True)
class Direction(Component, ABC):
    """A rule that makes one gradient of the losses of a mini-batch under one or several perturbations of each example."""

    @abstractmethod
    def __call__(self, losses: Tensor, parameters: list[nn.Parameter], run: RunState) -> None:
        """Leaves in each parameter's ``grad`` the gradient to descend along, summed over all processes.

        losses (k, B): those of each perturbation, already divided by the number of examples of all processes, so that the
        gradient of the mean loss under perturbation j is that of ``losses[j].sum()``, summed over the processes.
        """


@attrs.frozen(kw_only=True)
class Average(Direction):
    """The gradient of the mean over the perturbations; of one perturbation, its gradient."""

    def __call__(self, losses: Tensor, parameters: list[nn.Parameter], run: RunState) -> None:
        losses.mean(0).sum().backward()  # type: ignore[no-untyped-call]
        run.processes.sum_gradients(parameters)
