"""Small random classifiers for the laws of attacks, certifiers and defenses."""

from itertools import pairwise
from typing import Any

import attrs
import hypothesis.strategies as st
import torch
from torch import Tensor, nn

from inradius.rng import ExampleRNG
from inradius.sets.oracles import Oracles
from inradius.sets.threat_model import ThreatModel
from inradius.testing.strategies import Shape, inputs


@attrs.frozen(eq=False)
class Trial:
    """A case for the laws of attacks and certifiers: a classifier in float64, inputs x (B, *S), labels y (B,) and a set.

    rows (B,): the examples' numbers; seed: of the random draws; tol: the allowed relative error.
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    threat: ThreatModel
    seed: int
    tol: float
    rows: Tensor

    def streams(self) -> ExampleRNG:
        """Random numbers for the examples."""
        return ExampleRNG(self.seed, self.rows)

    def select(self, rows: Tensor) -> "Trial":
        """The trial of some examples, with their numbers."""
        return attrs.evolve(self, x=self.x[rows], y=self.y[rows], rows=self.rows[rows])

    def members(self, threat: Oracles | None = None) -> list[Tensor]:
        """Points of Δ(x), each (B, *S): zero, drawn points, and extreme points in random directions."""
        threat = threat or self.threat
        rng = self.streams()
        shape = tuple(self.x.shape[1:])
        extreme = [threat.linear_max(rng.normal(shape, dtype=self.x.dtype), self.x) for _ in range(4)]
        return [torch.zeros_like(self.x), threat.sample(self.x, rng=rng), threat.sample(self.x, rng=rng), *extreme]


class RowLinear(nn.Linear):
    """A linear layer that rounds each example equally in every batch, which a matrix product may not do."""

    def forward(self, x: Tensor) -> Tensor:
        value = (x.unsqueeze(-2) * self.weight).sum(-1)
        return value if self.bias is None else value + self.bias


def network(shape: Shape, classes: int, seed: int, *, depth: int, row_wise: bool = False) -> nn.Module:
    """A random ReLU network in eval mode with ``depth`` hidden layers of 6, in float64."""
    size = torch.Size(shape).numel()
    layer = RowLinear if row_wise else nn.Linear
    widths = [size, *(6,) * depth, classes]
    layers: list[nn.Module] = [nn.Flatten()]
    for index, (width, out) in enumerate(pairwise(widths)):
        linear = layer(width, out, dtype=torch.float64)
        rng = ExampleRNG(seed, torch.arange(index * 1000, index * 1000 + out))
        with torch.no_grad():
            linear.weight.copy_(rng.normal((width,)) / width**0.5 * 2)
            linear.bias.copy_(rng.normal() / 4)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def trials(
    shape: Shape,
    threat: ThreatModel,
    *,
    inputs: st.SearchStrategy[Tensor] | None = None,
    classes: int = 3,
    batch: int = 3,
    row_wise: bool = False,
    tolerance: float = 1e-7,
) -> st.SearchStrategy[Trial]:
    """Trials with random networks of up to two hidden layers; most labels are the networks' own predictions."""
    drawn = inputs if inputs is not None else _inputs(shape, threat, batch)

    def build(x: Tensor, seed: int, depth: int, wrong: bool) -> Trial:
        model = network(shape, classes, seed, depth=depth, row_wise=row_wise)
        with torch.no_grad():
            y = model(x).argmax(1)
        y[-1] = (y[-1] + int(wrong)) % classes
        return Trial(model, x, y, threat, seed, tolerance, torch.arange(len(x)) + seed % 7)

    return st.builds(build, drawn, st.integers(0, 2**31), st.integers(0, 2), st.booleans())


def _inputs(shape: Shape, threat: Any, batch: int) -> st.SearchStrategy[Tensor]:
    return inputs(shape, threat.bounds, batch=batch)
