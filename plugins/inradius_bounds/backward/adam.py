"""Adam on shares between 0 and 1, in plain code, so that examples can leave. Source: kingma2015."""

from collections.abc import Mapping

import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node


class AdamState:
    """The shares of an ascent by node, with Adam's running means. paces: factors of the rate by node, 1 for nodes without one."""

    def __init__(self, shares: dict[Node, Tensor], paces: Mapping[Node, float] | None = None) -> None:
        self.shares, self.paces = shares, dict(paces or {})
        self._mean = {node: torch.zeros_like(share) for node, share in shares.items()}
        self._square = {node: torch.zeros_like(share) for node, share in shares.items()}
        self._count = 0

    def move(self, gradients: Mapping[Node, Tensor], rate: float) -> None:
        """Takes one step of ascent within [0, 1]."""
        self._count += 1
        for node, gradient in gradients.items():
            mean = self._mean[node].lerp_(gradient, 0.1)
            square = self._square[node].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            size = (square / (1 - 0.999**self._count)).sqrt_().add_(1e-8)
            length = rate * self.paces.get(node, 1.0) / (1 - 0.9**self._count)
            self.shares[node] = (self.shares[node] + length * mean / size).clamp_(0, 1)

    def select(self, index: Tensor) -> "AdamState":
        """The state for the chosen examples."""
        part = AdamState({node: share[index] for node, share in self.shares.items()}, self.paces)
        part._mean = {node: each[index] for node, each in self._mean.items()}
        part._square = {node: each[index] for node, each in self._square.items()}
        part._count = self._count
        return part
