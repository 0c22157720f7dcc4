"""What is known of a value while a network is read: a constant, or its runs with one example and with three."""

import attrs
import torch
from torch import Tensor

from inradius.models.onnx.call import EXAMPLES, Operand

# the row of the run with several examples that holds the example of the run with one
ROW = 1
# rounding may differ between batches; a mixed batch differs by the numbers themselves
TOLERANCE = 1e-3


@attrs.frozen(eq=False)
class Known:
    """A value with one example and with three; ``several`` is None for a constant that is the same for both.

    ``batch``: the axis of the examples in the runs; None for constants.
    """

    one: Tensor
    several: Tensor | None = None
    batch: int | None = None

    @property
    def varies(self) -> bool:
        """True where the value depends on the network's input."""
        return self.batch is not None

    def operand(self, outside: bool) -> Operand:
        """What a node is told of the value. ``outside``: the runs have an axis of examples that the file lacks."""
        if self.batch is None:
            return Operand(tuple(self.one.shape), self.one.dtype, None, self.one, self.several)
        return Operand(tuple(self.one.shape[1:] if outside else self.one.shape), self.one.dtype, self.batch)

    def at(self, run: int) -> Tensor:
        return self.one if run == 0 or self.several is None else self.several


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


def batch_axis(one: Tensor, several: Tensor) -> int | None:
    """The axis along which a run with three examples has three times the length of that with one; None if that is not so."""
    if one.dim() != several.dim():
        return None
    pairs = list(zip(one.shape, several.shape, strict=True))
    grown = [axis for axis, (a, b) in enumerate(pairs) if a != b]
    return grown[0] if len(grown) == 1 and pairs[grown[0]][1] == EXAMPLES * pairs[grown[0]][0] else None


def keeps_examples_apart(one: Tensor, several: Tensor, axis: int) -> bool:
    """True where the run with three examples has that with one in its place along the axis, within rounding."""
    share = one.shape[axis]
    row = several.narrow(axis, ROW * share, share)
    if not one.is_floating_point():
        return torch.equal(one, row)
    ours, finite = one.double(), one[one.isfinite()].double()
    scale = float(finite.abs().amax()) if finite.numel() else 1.0
    return torch.allclose(ours, row.double(), rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True)
