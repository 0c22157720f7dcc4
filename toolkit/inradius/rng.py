"""Random numbers keyed by (seed, example): batch size, batch mates and device change nothing.

A counter-based generator: the n-th draw of an example is a hash of the seed, the example's index, n and the position
in the draw. The hash is the finaliser of splitmix64 (Steele, Lea and Flood 2014).
"""

import hashlib
import math
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def derive(*parts: object) -> int:
    """A seed below 2⁵⁶ that is a function of the parts, as in ``derive(run.seed, "noise", run.epoch)``.

    Equal parts give equal seeds on every machine; parts are told apart by their ``repr``, so give numbers and strings. A
    component that draws random numbers in a training run derives its seed from that of the run, a word of its own and the
    epoch: a run that was stopped then draws the same numbers when it goes on.
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


def _signed(value: int) -> int:
    """The 64-bit pattern of ``value`` as the signed integer that torch stores."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value


def _shift(bits: Tensor, by: int) -> Tensor:
    """Logical right shift; torch's own is arithmetic."""
    return (bits >> by).bitwise_and_((1 << (64 - by)) - 1)


def _mix(bits: Tensor) -> Tensor:
    # in place, as attacks draw a number for each pixel
    bits = _shift(bits, 30).bitwise_xor_(bits).mul_(_signed(_MIX_1))
    bits = _shift(bits, 27).bitwise_xor_(bits).mul_(_signed(_MIX_2))
    return _shift(bits, 31).bitwise_xor_(bits)


class ExampleRNG:
    """One stream of random numbers per example, aligned with a batch.

    ``uniform``, ``normal`` and ``integers`` draw for every example of the batch; ``take`` keeps the streams of a part of
    the batch; ``fork`` gives independent streams, for instance one family per restart.
    """

    def __init__(self, seed: int, index: Tensor) -> None:
        self._seed, self._index = seed, index
        self._count = 0

    @cached_property
    def _keys(self) -> Tensor:
        # made where they are needed, as most certifiers draw no numbers
        key = torch.as_tensor(_signed(self._seed * _GOLDEN), dtype=torch.int64, device=self._index.device)
        return _mix(_mix(key) ^ (self._index.to(torch.int64) + 1) * _signed(_GOLDEN))

    def __len__(self) -> int:
        return len(self._keys)

    def _derive(self, keys: Tensor, count: int) -> Self:
        derived = object.__new__(type(self))
        derived._keys, derived._count = keys, count
        return derived

    def take(self, mask: Tensor) -> Self:
        """The streams of the examples in ``mask`` (boolean, or indices), where they stand now."""
        return self._derive(self._keys[mask], self._count)

    def fork(self, branch: int) -> Self:
        """Streams of the same examples that are independent of these; equal branches give equal streams."""
        return self._derive(_mix(self._keys ^ _signed((branch + 1) * _MIX_2)), 0)

    def _bits(self, shape: tuple[int, ...]) -> Tensor:
        self._count += 1
        places = torch.arange(1, math.prod(shape) + 1, dtype=torch.int64, device=self._keys.device)
        draw = _mix(self._keys + _signed(self._count * _GOLDEN))
        return _mix(draw[:, None] + places * _signed(_GOLDEN)).view(len(self), *shape)

    def uniform(self, shape: tuple[int, ...] = (), *, dtype: torch.dtype = torch.float64) -> Tensor:
        """Uniform numbers in [0, 1), (B, *shape)."""
        precision = 24 if dtype == torch.float32 else 53
        fraction = _shift(self._bits(shape), 64 - precision).to(torch.float64).mul_(2.0**-precision)
        # in half precision a number just below one would round to one
        return fraction.to(dtype).clamp(max=1 - torch.finfo(dtype).eps / 2)

    def normal(self, shape: tuple[int, ...] = (), *, dtype: torch.dtype = torch.float64) -> Tensor:
        """Standard normal numbers by the Box-Muller transform, (B, *shape)."""
        radius = (-2 * (1 - self.uniform(shape)).log()).sqrt()
        return (radius * (2 * math.pi * self.uniform(shape)).cos()).to(dtype)

    def advance(self) -> None:
        """Moves on by one draw, for streams of which a part was drawn through ``take``."""
        self._count += 1

    def integers(self, low: int, high: int, shape: tuple[int, ...] = ()) -> Tensor:
        """Uniform integers in [low, high), (B, *shape)."""
        return low + (self.uniform(shape) * (high - low)).floor().to(torch.int64)
