"""Products of two values that depend on the input: number by number, or of (stacks of) matrices."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.box import Box


@attrs.frozen(eq=False)
class Bilinear:
    """(a, b) -> a · b, number by number, or as matrices where ``matrices``.

    first, second: the shapes of a and b with all their axes, equal for numbers; stacks of matrices have equal axes in front.
    full: the shape of the product with all its axes, and out_shape that of one example in a batch of bounds.
    """

    first: torch.Size
    second: torch.Size
    full: torch.Size
    out_shape: torch.Size
    matrices: bool

    exact = False
    adds = True

    @property
    def terms(self) -> int:
        """The number of products that a number of the result adds up."""
        return int(self.first[-1]) if self.matrices else 1

    @property
    def fan(self) -> int:
        """The most rows that a number of the adjoint adds up."""
        return int(max(self.full[-1], self.full[-2])) if self.matrices else 1

    @property
    def plain(self) -> bool:
        """True for one product of matrices for each example, which torch has a shorter way for."""
        return self.matrices and len(self.full) == 3 and self.full[0] == 1

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """The products, (B, *in) each -> (B, *out)."""
        if self.plain and a.shape[0] == b.shape[0]:
            return torch.bmm(a, b)
        if not self.matrices and self.first[1:] == self.out_shape:
            return a * b
        left, right = a.reshape(len(a), *self.first), b.reshape(len(b), *self.second)
        found = left @ right if self.matrices else left * right
        return found.reshape(len(found), *self.out_shape)

    def interval(self, a: Box, b: Box) -> Box:
        """The box of the products over two boxes, exact for numbers; for matrices by middles and half widths."""
        if not self.matrices:
            ends = torch.stack([self(one, other) for one in a for other in b])
            return ends.amin(0), ends.amax(0)
        (middle, half), (other, width) = (((low + high) / 2, (high - low) / 2) for low, high in (a, b))
        center = self(middle, other)
        spread = self(middle.abs() + half, width) + self(half, other.abs())
        return center - spread, center + spread

    def magnitude(self, a: Tensor, b: Tensor) -> Tensor:
        """The products of bounds on the sizes, (B, *out)."""
        return self(a, b)

    def first_rows(self, rows: Tensor, b: Tensor) -> Tensor:
        """The rows on a of ⟨row, a · b⟩ at a fixed b, (B, K, *out) and (B, *in) -> (B, K, *in)."""
        if self.plain and rows.shape[0] == b.shape[0]:
            return torch.bmm(rows.flatten(1, 2), b.transpose(1, 2)).view(*rows.shape[:2], *self.first[1:])
        full, fixed = rows.reshape(*rows.shape[:2], *self.full), b.reshape(len(b), 1, *self.second)
        found = full @ fixed.transpose(-1, -2) if self.matrices else full * fixed
        return found.reshape(*rows.shape[:2], *self.first)

    def second_rows(self, rows: Tensor, a: Tensor) -> Tensor:
        """The rows on b of ⟨row, a · b⟩ at a fixed a, (B, K, *out) and (B, *in) -> (B, K, *in)."""
        if self.plain and rows.shape[0] == a.shape[0]:
            turned = torch.bmm(rows.transpose(2, 3).flatten(1, 2), a)
            return turned.view(*rows.shape[:2], self.full[-1], -1).transpose(2, 3)
        full, fixed = rows.reshape(*rows.shape[:2], *self.full), a.reshape(len(a), 1, *self.first)
        found = fixed.transpose(-1, -2) @ full if self.matrices else full * fixed
        return found.reshape(*rows.shape[:2], *self.second)
