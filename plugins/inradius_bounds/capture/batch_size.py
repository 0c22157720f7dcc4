"""Lengths that grow with the number of examples, and that report questions about it."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from inradius_bounds.capture.source import IN_TORCH

Ask = Callable[[FrameType], None]


class BatchSizes:
    """Shapes whose first length is a multiple of the number of examples. It receives the reports of questions about that number."""

    def __init__(self, examples: int, ask: Ask | None) -> None:
        self.examples, self._ask = examples, ask

    def seen(self, shape: torch.Size) -> torch.Size:
        """The shape, with a first length that reports comparisons."""
        return torch.Size([self.length(shape[0]), *shape[1:]]) if self._grows(shape) else shape

    def counted(self, shape: torch.Size) -> int:
        """The count of numbers of a tensor of this shape, as a length that reports comparisons."""
        return self.length(shape.numel()) if self._grows(shape) else shape.numel()

    def length(self, number: int) -> "BatchSize":
        """A multiple of the number of examples."""
        return BatchSize(number, self)

    def asked(self, frame: FrameType) -> None:
        """Records that a frame has asked for the number of examples. Torch itself may ask."""
        if self._ask is not None and not frame.f_code.co_filename.startswith(IN_TORCH):
            self._ask(frame)

    def _grows(self, shape: torch.Size) -> bool:
        return self._ask is not None and bool(shape) and shape[0] > 0 and shape[0] % self.examples == 0


class BatchSize(int):
    """A length that grows with the number of examples, by ``share`` for each. Its products grow as well.

    Questions whose answer differs between numbers of examples are reported: comparisons, remainders, and its text.
    """

    _sizes: BatchSizes

    def __new__(cls, value: int, sizes: BatchSizes) -> "BatchSize":
        made = super().__new__(cls, value)
        made._sizes = sizes
        return made

    @property
    def share(self) -> int:
        """The length for one example; 0 where it is no multiple."""
        whole, rest = divmod(int.__int__(self), self._sizes.examples)
        return 0 if rest else whole

    def _report(self) -> None:
        self._sizes.asked(sys._getframe(2))

    def _known(self, least: int) -> bool:
        """True if the length is at least ``least`` for every number of examples."""
        return bool(self.share) and self.share >= least

    def __hash__(self) -> int:
        self._report()
        return int.__hash__(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BatchSize) and not (isinstance(other, int) and self._known(other + 1)):
            self._report()
        return bool(int.__eq__(self, other) is True)

    def __ne__(self, other: object) -> bool:
        if not isinstance(other, BatchSize) and not (isinstance(other, int) and self._known(other + 1)):
            self._report()
        return int.__eq__(self, other) is not True

    def __lt__(self, other: int) -> bool:
        if not isinstance(other, BatchSize) and not self._known(other):
            self._report()
        return int.__lt__(self, other)

    def __ge__(self, other: int) -> bool:
        if not isinstance(other, BatchSize) and not self._known(other):
            self._report()
        return int.__ge__(self, other)

    def __le__(self, other: int) -> bool:
        if not isinstance(other, BatchSize) and not self._known(other + 1):
            self._report()
        return int.__le__(self, other)

    def __gt__(self, other: int) -> bool:
        if not isinstance(other, BatchSize) and not self._known(other + 1):
            self._report()
        return int.__gt__(self, other)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        self._report()
        return int.__repr__(self)

    __str__ = __repr__

    def __format__(self, text: str) -> str:
        self._report()
        return int.__format__(self, text)

    def __mul__(self, other: Any) -> Any:
        found = int.__mul__(self, other)
        return self._sizes.length(found) if isinstance(found, int) and found else found

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        found = int.__add__(self, other)
        return self._sizes.length(found) if isinstance(found, int) else found

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        found = int.__sub__(self, other)
        return self._sizes.length(found) if isinstance(found, int) and found else found

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, BatchSize):
            return int.__floordiv__(self, other)
        if not isinstance(other, int) or not other or self.share % other or not self.share:
            self._report()
            return int.__floordiv__(self, other)
        return self._sizes.length(int.__floordiv__(self, other))

    def __mod__(self, other: Any) -> Any:
        if not isinstance(other, int) or not other or self.share % other or not self.share:
            self._report()
        return int.__mod__(self, other)
