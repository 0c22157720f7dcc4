"""What is known of a value while a network is read: a constant, or its runs with one example and with three."""

import attrs
import torch
from torch import Tensor

from inradius.models.onnx.call import EXAMPLES, Operand
from inradius.models.onnx.limits import check_size

# the row of the run with several examples that holds the example of the run with one
ROW = 1
# rounding may differ between batches; a mixed batch differs by the numbers themselves
TOLERANCE = 1e-3
# of longer axes no other part than the whole is tried
_MOST_PARTS = 4096


@attrs.frozen(eq=False)
class Known:
    """A value with one example and with three; ``several`` is None for a constant that is the same for both.

    ``batch``: the axis of the examples in the runs; None for constants. ``major``: the parts of that axis that each hold
    all examples one after another.
    """

    one: Tensor
    several: Tensor | None = None
    batch: int | None = None
    major: int = 1

    @property
    def varies(self) -> bool:
        """True where the value depends on the network's input."""
        return self.batch is not None

    @property
    def numbers(self) -> int:
        """The count of numbers that are held."""
        return self.one.numel() + (0 if self.several is None else self.several.numel())

    def operand(self, outside: bool) -> Operand:
        """The value as an operand of a node. ``outside`` is true where the runs have an axis of examples that the file lacks."""
        if self.batch is None:
            return Operand(tuple(self.one.shape), self.one.dtype, None, self.one, self.several)
        shape = tuple(self.one.shape[1:] if outside else self.one.shape)
        return Operand(shape, self.one.dtype, self.batch, major=self.major)

    def at(self, run: int) -> Tensor:
        return self.one if run == 0 or self.several is None else self.several


def first_known(shape: tuple[int, ...], dtype: torch.dtype) -> Known:
    """Random inputs of this shape: one example, and three of which it is one."""
    check_size((EXAMPLES, *shape))
    generator = torch.Generator().manual_seed(0)
    one, *others = (_drawn((1, *shape), dtype, generator) for _ in range(EXAMPLES))
    return Known(one, torch.cat([*others[:ROW], one, *others[ROW:]]), 0)


def _drawn(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Random numbers of any type; integers are 0 or 1, which every table of words has."""
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(0, 2, shape, generator=generator).to(dtype)


def constant_of(one: Tensor, several: Tensor) -> Known:
    """A value that does not depend on the input, computed for one example and for three."""
    same = one.shape == several.shape and torch.equal(one, several)
    return Known(one, None if same else several)


def settled(known: Known) -> Tensor | None:
    """A constant with one example, where the one with three repeats it along an axis of length 1; else None."""
    if known.several is None:
        return known.one
    fits = known.one.dim() == known.several.dim() and all(
        a in (1, b) for a, b in zip(known.one.shape, known.several.shape, strict=True)
    )
    return known.one if fits and torch.equal(known.one.expand_as(known.several), known.several) else None


def repeated(known: Known) -> tuple[int, int] | None:
    """The axis, and the number of its parts, along which a constant for three examples repeats that for one; else None."""
    axis = None if known.several is None else batch_axis(known.one, known.several)
    if axis is None or known.several is None:
        return None
    length = known.one.shape[axis]
    majors = [number for number in range(1, min(length, _MOST_PARTS) + 1) if length % number == 0]
    found = (n for n in majors if torch.equal(spread(known.one, axis, n, EXAMPLES), known.several))
    return next(((axis, number) for number in found), None)


def spread(x: Tensor, axis: int, major: int, count: int) -> Tensor:
    """The tensor with each of the ``major`` parts of an axis repeated for each example."""
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    parts = x.reshape(*before, major, 1, x.shape[axis] // major, *after)
    return parts.expand(*before, major, count, -1, *after).flatten(axis, axis + 2)


def batch_axis(one: Tensor, several: Tensor) -> int | None:
    """The axis along which a run with three examples has three times the length of that with one; None if that is not so."""
    if one.dim() != several.dim():
        return None
    pairs = list(zip(one.shape, several.shape, strict=True))
    grown = [axis for axis, (a, b) in enumerate(pairs) if a != b]
    return grown[0] if len(grown) == 1 and pairs[grown[0]][1] == EXAMPLES * pairs[grown[0]][0] else None


def parts_apart(one: Tensor, several: Tensor, axis: int, likely: int) -> int | None:
    """The number of parts of the axis that each hold all examples one after another, ``likely`` if that may be; else None.

    None says that the run with three examples does not have that with one in its place, within rounding.
    """
    length = one.shape[axis]
    divisors = [number for number in range(1, length + 1) if length % number == 0] if length <= _MOST_PARTS else [1]
    tried = [likely, *(number for number in divisors if number != likely)] if length % likely == 0 else divisors
    return next((number for number in tried if _same(one, _row(several, axis, number))), None)


def _row(several: Tensor, axis: int, major: int) -> Tensor:
    """The example of the run with one, out of the run with three, whose axis has ``major`` parts with all examples each."""
    minor = several.shape[axis] // (EXAMPLES * major)
    before, after = several.shape[:axis], several.shape[axis + 1 :]
    parts = several.reshape(*before, major, EXAMPLES, minor, *after)
    return parts.select(axis + 1, ROW).reshape(*before, major * minor, *after)


def _same(one: Tensor, row: Tensor) -> bool:
    if not one.is_floating_point():
        return torch.equal(one, row)
    if one.dtype.itemsize < 4:
        one, row = one.float(), row.float()
    finite = one[one.isfinite()]
    scale = float(finite.abs().amax()) if finite.numel() else 1.0
    return torch.allclose(one, row, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True)
