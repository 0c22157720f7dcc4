"""Powers of a value with a constant exponent."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inradius import LayerRule, Operator
from inradius_bounds.rules.activations.least import LeastRule


class PowerLayer(nn.Module):
    """z to the power of a number; of z ≥ 0 alone where the exponent is no whole number ≥ 2, and of z > 0 where it is < 0."""

    def __init__(self, exponent: float, least: float | None = None) -> None:
        """``least``: a number that the inputs are never below, or None."""
        super().__init__()
        self.exponent, self.least = float(exponent), least

    @property
    def whole(self) -> bool:
        """True if the exponent is a whole number ≥ 2, so that every z has the power."""
        return self.exponent >= 2 and self.exponent.is_integer()

    def forward(self, z: Tensor) -> Tensor:
        return z**self.exponent

    def extra_repr(self) -> str:
        return f"{self.exponent:g}"


class PowerRule(LeastRule):
    """z^p, whose slope s = p z^(p − 1) is met at (s / p)^(1 / (p − 1)), and for odd p at the negative of it, too."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        power = op.module.exponent
        share = slope / power
        root = torch.where(share != 0, share.abs(), torch.ones_like(share)) ** (1 / (power - 1))
        root = torch.where(share != 0, root, torch.zeros_like(root))
        if not op.module.whole:
            return [torch.where(share > 0, root, torch.nan)]
        if power % 2 == 0:
            return [root * share.sign()]
        return [torch.where(share >= 0, root, torch.nan), torch.where(share >= 0, -root, torch.nan)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        power = op.module.exponent
        if not op.module.whole:
            # at 0, where there may be none, any number
            z = torch.where(z > 0, z, torch.ones_like(z))
        found: Tensor = power * z ** (power - 1)
        return found

    def valid(self, op: Operator, lower: Tensor) -> Tensor | None:
        return None if op.module.whole else lower >= 0 if op.module.exponent > 0 else lower > 0


def power_rules() -> dict[type[nn.Module], LayerRule]:
    """The layer of this file with its rule."""
    return {PowerLayer: PowerRule()}
