"""Gradients at shifted weights, and restoring the weights afterwards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# one for each parameter; None where the loss does not depend on it, so that the optimiser skips it
Gradients = list[Tensor | None]


def gradients(parameters: Sequence[nn.Parameter]) -> Gradients:
    """A copy of each parameter's gradient."""
    return [None if p.grad is None else p.grad.detach().clone() for p in parameters]


def ascent(given: Gradients, length: float) -> Gradients:
    """The step of this length along all gradients as one vector; zeros where that vector is zero."""
    norms = [gradient.norm() for gradient in given if gradient is not None]
    norm = torch.stack(norms).norm() if norms else None
    return [None if gradient is None or norm is None else length * unit(gradient, norm) for gradient in given]


def unit(vector: Tensor, norm: Tensor) -> Tensor:
    """vector / norm, 0 where the norm is 0, (*S), () -> (*S)."""
    return torch.where(norm > 0, vector / norm, 0.0)


@contextmanager
def shifted(parameters: Sequence[nn.Parameter], steps: Sequence[Tensor | None]) -> Iterator[None]:
    """Context manager: adds the steps to the weights and restores the exact old values on exit."""
    with restored(parameters):
        with torch.no_grad():
            for parameter, step in zip(parameters, steps, strict=True):
                if step is not None:
                    parameter.add_(step)
        yield


@contextmanager
def untracked(model: nn.Module) -> Iterator[None]:
    """Context manager: restores BatchNorm's running statistics, and all other buffers, on exit."""
    with restored(list(model.buffers())):
        yield


@contextmanager
def restored(values: Sequence[Tensor]) -> Iterator[None]:
    """Context manager: restores the exact old values on exit."""
    before = [value.detach().clone() for value in values]
    try:
        yield
    finally:
        with torch.no_grad():
            for value, old in zip(values, before, strict=True):
                value.copy_(old)
