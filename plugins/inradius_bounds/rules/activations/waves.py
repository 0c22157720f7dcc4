"""Functions bounded on a grid: sine, cosine and Mish."""

import torch
from torch import Tensor, nn

from inradius import LayerRule, Operator
from inradius_bounds.rules.activations.sampled import SampledRule
from inradius_bounds.rules.activations.smooth import FunctionLayer


class SineLayer(FunctionLayer):
    """sin(z)."""

    def __init__(self) -> None:
        super().__init__("sin")


class CosineLayer(FunctionLayer):
    """cos(z)."""

    def __init__(self) -> None:
        super().__init__("cos")


class _WaveRule(SampledRule):
    """A function with values in [−1, 1] and |f″| ≤ 1."""

    curvature = 1.0

    def _within(
        self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor, low: Tensor, high: Tensor
    ) -> tuple[Tensor, Tensor]:
        ends = torch.stack([-slope * lower, -slope * upper])
        slack = 8 * torch.finfo(low.dtype).eps * (1 + ends.abs().amax(0))
        return torch.maximum(low, ends.amin(0) - 1 - slack), torch.minimum(high, ends.amax(0) + 1 + slack)


class SineRule(_WaveRule):
    """sin(z)."""

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return z.cos()


class CosineRule(_WaveRule):
    """cos(z)."""

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return -z.sin()


class MishRule(SampledRule):
    """z tanh(log(1 + exp(z))); |f″| ≤ 0.65, and max(z, 0) − 0.31 ≤ f(z) ≤ max(z, 0)."""

    curvature = 0.65
    below = 0.31
    valley = -1.19243

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        inner = torch.nn.functional.softplus(z).tanh()
        return inner + z * (1 - inner.square()) * z.sigmoid()


def wave_rules() -> dict[type[nn.Module], LayerRule]:
    """Each layer of this file with its rule."""
    return {SineLayer: SineRule(), CosineLayer: CosineRule(), nn.Mish: MishRule()}
