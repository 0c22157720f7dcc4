"""Sharpness-aware minimisation whose two gradients can be computed in parallel."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import attrs
from torch import Tensor, nn

from inradius import RunState
from inradius.components.validators import as_float, flag, radius, share
from inradius.training.descent import Descent
from inradius.training.slots import Update
from inradius_training.updates.shifted_weights import Gradients, ascent, gradients, restored, shifted, untracked


@attrs.frozen(kw_only=True)
class SAMPa(Update):
    """SAM whose perturbation is taken at a second sequence y, one step ahead of the weights x:

        x̃_k = x_k + ρ g(y_k) / ‖g(y_k)‖,   y_{k+1} = x_k − η g(y_k),   x_{k+1} = x_k − η ((1 − λ) g(x̃_k) + λ
        g(y_{k+1})).

    g(x̃_k) is computed on the same batch as g(y_k), and g(y_{k+1}) on the next batch. At the end of an epoch, where the
    next batch is not drawn yet, g(y_{k+1}) is computed on the same batch. y_{k+1} is a full step of the optimiser, with
    momentum and decay, that is then undone. g(y_k) is kept in the memory of the run, which begins with y_0 = x_0. With
    λ = 1 and ρ = 0 the method is optimistic gradient descent. g(x̃_k) uses the perturbations of the inputs that were
    found at y_k; with ``reattack`` it uses new ones, found at x̃_k. BatchNorm's running statistics come from the passes
    at y. Source: xie2024.
    """

    lookahead: ClassVar[bool] = True

    # λ and ρ: Xie et al. 2024, for CIFAR-10
    lam: float = attrs.field(default=0.2, validator=share, converter=as_float)
    rho: float = attrs.field(default=0.1, validator=radius, converter=as_float)
    reattack: bool = attrs.field(default=False, validator=flag)

    def __call__(self, descent: Descent) -> None:
        ours, memory = descent.parameters, descent.run.memory(self)
        if "gradients" not in memory:
            descent.gradient()
            memory["gradients"] = gradients(ours)
        known: Gradients = memory["gradients"]
        with untracked(descent.model), shifted(ours, ascent(known, self.rho)):
            descent.gradient(reattack=self.reattack)
        uphill = gradients(ours)
        with _lookahead_step(descent.run, known):
            descent.gradient(ahead=descent.ahead is not None)
        memory["gradients"] = gradients(ours)
        _set_gradients(ours, [_mean(g, h, self.lam) for g, h in zip(uphill, memory["gradients"], strict=True)])
        descent.step()


def _mean(first: Tensor | None, second: Tensor | None, share: float) -> Tensor | None:
    """(1 − share) · first + share · second, where a missing one counts as 0; None where both are missing."""
    if first is None:
        return None if second is None else share * second
    return (1 - share) * first if second is None else (1 - share) * first + share * second


def _set_gradients(parameters: Sequence[nn.Parameter], given: Gradients) -> None:
    """Leaves copies of the given gradients in the weights."""
    for parameter, gradient in zip(parameters, given, strict=True):
        parameter.grad = None if gradient is None else gradient.clone()


@contextmanager
def _lookahead_step(run: RunState, given: Gradients) -> Iterator[None]:
    """The weights after the optimiser's step along these gradients; weights and optimiser are then put back."""
    optimizer, ours = run.optimizer, run.parameters
    before = {parameter: _copied(state) for parameter, state in optimizer.state.items()}
    with restored(ours):
        _set_gradients(ours, given)
        for group in optimizer.param_groups:
            group["lr"] = run.rate
        try:
            optimizer.step()
            yield
        finally:
            optimizer.state.clear()
            optimizer.state.update(before)


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()}
