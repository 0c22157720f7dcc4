"""The rule of Flatten: the same numbers in another shape."""

from torch import Tensor, nn

from inradius import LayerRule, Operator, UnsupportedError


class FlattenRule(LayerRule):
    """z -> z with some axes joined. The batch axis must not be among them."""

    affine = True
    elementwise = True
    rounds = False

    def check(self, module: nn.Module) -> None:
        if isinstance(module, nn.Flatten) and module.start_dim == 0:
            raise UnsupportedError(f"{module} joins the batch axis with others; allowed is start_dim ≥ 1")

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return op(lower), op(upper)

    def fan(self, op: Operator) -> int:
        return 1

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        return rows.reshape(*rows.shape[:2], *op.in_shape)
