"""Elementwise functions as layers, for networks that write them as functions."""

import torch
from torch import Tensor, nn


class ExpLayer(nn.Module):
    """exp(z)."""

    def forward(self, z: Tensor) -> Tensor:
        return z.exp()


class CappedExpLayer(nn.Module):
    """exp(z), and exp(cap) above the cap."""

    cap = 80.0

    def forward(self, z: Tensor) -> Tensor:
        return z.clamp(max=self.cap).exp()


class SquareLayer(nn.Module):
    """z²."""

    def forward(self, z: Tensor) -> Tensor:
        return z.square()


class _LayerWithLeast(nn.Module):
    """A layer whose inputs are never below the number ``least``, or None."""

    def __init__(self, least: float | None = None) -> None:
        super().__init__()
        self.least = least


class ReciprocalLayer(_LayerWithLeast):
    """1 / z, which has bounds where z > 0. The value that it stands for may differ by ``gap``."""

    def __init__(self, least: float | None = None, gap: float = 0.0) -> None:
        super().__init__(least)
        self.gap = gap

    def forward(self, z: Tensor) -> Tensor:
        return z.reciprocal()


class SquareRootLayer(_LayerWithLeast):
    """√z, which has bounds where z ≥ 0."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sqrt(z)


class RoundingLayer(nn.Module):
    """The nearest number of a shorter floating-point type."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, z: Tensor) -> Tensor:
        return z.to(self.dtype).to(z.dtype)
