"""Steps of a torch optimiser on a set, with its learning rate as a share of the radius."""

import torch
from torch import Tensor

from inradius import AttackBatch, Oracles
from inradius.sets.arithmetic.precision import working
from inradius.sets.examples import expand
from inradius_gradient.torch_steps import TorchSteps


def usual_optimizer(threat: Oracles) -> str:
    """The name of RMSprop where the set is a box, whose coordinates are independent; elsewhere that of plain steps."""
    return "rmsprop" if threat.is_box else "sgd"


class OptimizerSteps:
    """Steps of one optimiser on ``count`` perturbations like those of x (B, *S).

    "sgd" is given the step of steepest ascent, as long as the radius. The others are given the gradient, and as theirs are
    steps of each coordinate by itself, in units of 1, the unit becomes that of a coordinate in the step of steepest ascent:
    its root mean square where the gradient is not 0, in ℓ∞ the radius.
    """

    def __init__(self, name: str, rate: float, count: int, x: Tensor) -> None:
        self._plain = name == "sgd"
        self._steps = TorchSteps(name, rate, count, x.to(working(x.dtype)))
        # a unit, and the size of the gradients, of each perturbation: 0 until its gradient is not
        self._unit, self._size = (x.new_zeros(count, dtype=working(x.dtype)) for _ in range(2))

    def take(self, index: Tensor) -> None:
        """Keeps only the perturbations in ``index``, each with its state."""
        self._steps.take(index)
        self._unit, self._size = self._unit[index], self._size[index]

    def step(self, step: int, gradient: Tensor, delta: Tensor, each: AttackBatch) -> Tensor:
        """The optimiser's step from δ, (n, *S)."""
        if self._plain:
            steepest = each.threat.steepest(gradient, each.x, delta, rng=each.rng)
            return self._steps.step(steepest.to(self._unit)).to(delta)
        gradient = gradient.to(self._unit)
        if not bool((self._unit > 0).all()):
            self._measure(step, gradient, each)
        size = torch.where(self._size > 0, self._size, 1)
        return (self._steps.step(gradient / expand(size, gradient)) * expand(self._unit, gradient)).to(delta)

    def _measure(self, step: int, gradient: Tensor, each: AttackBatch) -> None:
        """The units and sizes that are not known yet."""
        # streams of its own, since batch mates say when this is asked
        full = each.threat.steepest(gradient.to(each.x), each.x, torch.zeros_like(each.x), rng=each.rng.fork(step))
        full = full.to(gradient)
        full = full / expand(each.threat.gauge(full, each.x).to(gradient).clamp(min=1), full)
        count = (gradient != 0).flatten(1).sum(1).clamp(min=1)
        new = self._unit == 0
        self._unit = torch.where(new, (full.flatten(1).square().sum(1) / count).sqrt(), self._unit)
        self._size = torch.where(new, (gradient.flatten(1).square().sum(1) / count).sqrt(), self._size)
