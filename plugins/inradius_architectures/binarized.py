"""The thesis's network of binarised digits."""

import torch
from torch import Tensor, nn

from inradius.attacks.bpda import BPDA
from inradius_architectures.convolutional import mnist_small


def mnist_binarized() -> nn.Sequential:
    """``mnist_small`` on pixels that are rounded to 0 or 1, for (B, 1, 28, 28).

    Attacks follow the gradient of the network at the rounded pixels, as if rounding were the identity (BPDA), because its own
    gradient is 0. The thesis does not say how its attack sees through the rounding. Source: wong2019, section 5.5.
    """
    return nn.Sequential(BPDA(Binarize()), *mnist_small())


class Binarize(nn.Module):
    """1 where a pixel is at least 0.5, else 0."""

    def forward(self, x: Tensor) -> Tensor:
        """The rounded pixels, (B, *S) -> (B, *S)."""
        return torch.where(x >= 0.5, torch.ones_like(x), torch.zeros_like(x))
