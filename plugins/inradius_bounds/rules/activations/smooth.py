"""Smooth functions with formulas for their turning points: logarithms, exponentials, arctangent, the error function."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inradius import ActivationRule, LayerRule, Operator
from inradius_bounds.rules.activations.least import LeastRule
from inradius_bounds.rules.activations.s_shaped import SShapedRule


class FunctionLayer(nn.Module):
    """An elementwise function of torch as a layer."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, z: Tensor) -> Tensor:
        found: Tensor = getattr(torch, self.name)(z)
        return found

    def extra_repr(self) -> str:
        return self.name


class LogLayer(FunctionLayer):
    """log(z)."""

    def __init__(self, least: float | None = None) -> None:
        """``least``: a number that the inputs are never below, or None."""
        super().__init__("log")
        self.least = least


class Log1pLayer(FunctionLayer):
    """log(1 + z)."""

    def __init__(self) -> None:
        super().__init__("log1p")


class Expm1Layer(FunctionLayer):
    """exp(z) − 1."""

    def __init__(self) -> None:
        super().__init__("expm1")


class ArctangentLayer(FunctionLayer):
    """arctan(z)."""

    def __init__(self) -> None:
        super().__init__("atan")


class ErrorFunctionLayer(FunctionLayer):
    """erf(z)."""

    def __init__(self) -> None:
        super().__init__("erf")


def _where_positive(slope: Tensor, place: Tensor) -> Tensor:
    """Places that belong to slopes > 0, NaN for other slopes."""
    return torch.where(slope > 0, place, torch.nan)


def _above_zero(slope: Tensor) -> Tensor:
    """The slopes, with 1 in place of those that are ≤ 0."""
    return torch.where(slope > 0, slope, torch.ones_like(slope))


class LogRule(LeastRule):
    """log(z) for z > 0, whose slope 1 / z is met at 1 / slope; nothing is known where an interval reaches 0."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [_where_positive(slope, 1 / _above_zero(slope))]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 1 / z

    def valid(self, op: Operator, lower: Tensor) -> Tensor:
        return lower > 0


class Log1pRule(ActivationRule):
    """log(1 + z) for z > −1; nothing is known where an interval reaches −1."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [_where_positive(slope, 1 / _above_zero(slope) - 1)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 1 / (1 + z)

    def valid(self, op: Operator, lower: Tensor) -> Tensor:
        return lower > -1


class Expm1Rule(ActivationRule):
    """exp(z) − 1, whose slope exp(z) is met at log(slope)."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [_where_positive(slope, _above_zero(slope).log())]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return z.exp()


class ArctangentRule(SShapedRule):
    """arctan(z), whose slope s = 1 / (1 + z²) is met at ± √(1 / s − 1)."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        place = _where_positive(slope, (1 / _above_zero(slope) - 1).clamp(min=0).sqrt())
        return [place, -place]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 1 / (1 + z.square())


class ErrorFunctionRule(SShapedRule):
    """erf(z), whose slope s = 2 / √π · exp(−z²) is met at ± √(−log(s √π / 2))."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        place = (-(_above_zero(slope) * (math.sqrt(math.pi) / 2)).log()).clamp(min=0).sqrt()
        place = _where_positive(slope, place)
        return [place, -place]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 2 / math.sqrt(math.pi) * (-z.square()).exp()


def smooth_rules() -> dict[type[nn.Module], LayerRule]:
    """Each layer of this file with its rule."""
    return {
        LogLayer: LogRule(),
        Log1pLayer: Log1pRule(),
        Expm1Layer: Expm1Rule(),
        ArctangentLayer: ArctangentRule(),
        ErrorFunctionLayer: ErrorFunctionRule(),
    }
