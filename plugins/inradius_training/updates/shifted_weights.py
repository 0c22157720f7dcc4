"""Gradients at other weights, and back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# one for each parameter; None where the loss does not depend on it, so that the optimiser passes it by
Gradients = list[Tensor | None]


def gradients(parameters: Sequence[nn.Parameter]) -> Gradients:
    """A copy of each parameter's gradient."""
    return [None if p.grad is None else p.grad.detach().clone() for p in parameters]


def ascent(given: Gradients, length: float) -> Gradients:
    """The step of this length along all gradients as one vector; zeros where that is zero."""
    norms = [gradient.norm() for gradient in given if gradient is not None]
    norm = torch.stack(norms).norm() if norms else None
    return [None if gradient is None or norm is None else length * unit(gradient, norm) for gradient in given]


def unit(vector: Tensor, norm: Tensor) -> Tensor:
    """vector / norm, 0 where the norm is, (*S), () -> (*S)."""
    return torch.where(norm > 0, vector / norm, 0.0)


@contextmanager
def moved(parameters: Sequence[nn.Parameter], steps: Sequence[Tensor | None]) -> Iterator[None]:
    """The weights plus the steps; afterwards what they were, to the bit."""
    with kept(parameters):
        with torch.no_grad():
            for parameter, step in zip(parameters, steps, strict=True):
                if step is not None:
                    parameter.add_(step)
        yield


@contextmanager
def untracked(model: nn.Module) -> Iterator[None]:
    """Passes within leave BatchNorm's running statistics, and any other buffer, as they were."""
    with kept(list(model.buffers())):
        yield


@contextmanager
def kept(values: Sequence[Tensor]) -> Iterator[None]:
    """Afterwards the values are what they were, to the bit."""
    before = [value.detach().clone() for value in values]
    try:
        yield
    finally:
        with torch.no_grad():
            for value, old in zip(values, before, strict=True):
                value.copy_(old)
