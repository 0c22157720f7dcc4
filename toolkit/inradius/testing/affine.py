"""A plain affine operator, for the law that bounds of a first layer contain the truth."""

import torch
from torch import Tensor

from inradius.rng import ExampleRNG

Pair = tuple[int, int]


class Matrix:
    """x -> A x + b with random A; an ``inradius.AffineOperator``. Each output has ``taps`` inputs, or all for None."""

    exact_interval = True

    def __init__(self, in_shape: torch.Size, outputs: int, seed: int, *, taps: int | None, dtype: torch.dtype) -> None:
        streams = ExampleRNG(seed, torch.arange(outputs))
        size = in_shape.numel()
        self.in_shape, self.out_shape = in_shape, torch.Size([outputs])
        self.offset = streams.normal(dtype=dtype)
        self.weights = streams.normal((size,), dtype=dtype)
        self._index = None if taps is None else streams.uniform((size,)).argsort(1)[:, :taps]
        if self._index is not None:
            kept = torch.zeros_like(self.weights).scatter_(1, self._index, 1)
            self.weights = self.weights * kept

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weights.T + self.offset

    def adjoint(self, rows: Tensor) -> Tensor:
        return (rows @ self.weights).view(*rows.shape[:2], *self.in_shape)

    def interval(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        middle, spread = self((lower + upper) / 2), (upper - lower).flatten(1) / 2 @ self.weights.abs().T
        return middle - spread, middle + spread

    def unit_rows(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        return self.weights[index].to(dtype).view(*index.shape, *self.in_shape)

    def local_rows(self) -> tuple[Tensor, Tensor] | None:
        return None if self._index is None else (self._index, self.weights.gather(1, self._index))

    def filters(self, like: Tensor) -> tuple[Tensor, Pair, Pair, Pair] | None:
        # rows that differ from output to output are no convolution
        return None
