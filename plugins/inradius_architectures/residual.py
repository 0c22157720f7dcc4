"""The sum of two paths."""

from torch import Tensor, nn


class Residual(nn.Module):
    """body(x) + skip(x); without a skip the input itself is added."""

    def __init__(self, body: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.skip = nn.Identity() if skip is None else skip

    def forward(self, x: Tensor) -> Tensor:
        """The sum, (B, *in) -> (B, *out)."""
        total: Tensor = self.body(x) + self.skip(x)
        return total
