"""Steps that move numbers: each number of the result is one of the input's."""

import attrs
import torch
from torch import Tensor

from inradius import LayerRule, Operator


@attrs.frozen(eq=False)
class Move:
    """z -> z[index], reshaped. index (out numbers,) counts the input's numbers from 0; None keeps their order."""

    index: Tensor | None
    in_shape: torch.Size
    out_shape: torch.Size

    def __call__(self, z: Tensor) -> Tensor:
        flat = z if self.index is None else z.flatten(1)[:, self.index]
        return flat.reshape(len(z), *self.out_shape)

    def adjoint(self, rows: Tensor) -> Tensor:
        """Each number's row at the place it came from, (B, K, *out) -> (B, K, *in); rows of several copies are added up."""
        if self.index is not None:
            size = self.in_shape.numel()
            rows = rows.new_zeros(*rows.shape[:2], size).index_add(2, self.index, rows.flatten(2))
        return rows.reshape(*rows.shape[:2], *self.in_shape)


class ReshapeRule(LayerRule):
    """The rule of steps that keep the order of the numbers and change the shape."""

    affine = True
    elementwise = True
    rounds = False

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return op(lower), op(upper)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        moved: Tensor = op.module.adjoint(rows)
        return moved

    def fan(self, op: Operator) -> int:
        return 1


class MoveRule(ReshapeRule):
    """The rule of steps that move numbers to other places, some of them to several or to none."""

    elementwise = False

    def mixes(self, op: Operator) -> bool:
        return False

    def fan(self, op: Operator) -> int:
        return int(op.module.index.bincount().max()) if op.module.index.numel() else 1
