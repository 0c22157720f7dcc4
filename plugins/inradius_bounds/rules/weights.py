"""Sizes of the weights of a layer or a step."""

from typing import Any

from torch import Tensor


def weight_size(module: Any) -> Tensor:
    """|W|, which a step of a captured computation keeps and a layer does not."""
    kept: Tensor | None = getattr(module, "weight_size", None)
    return module.weight.abs() if kept is None else kept
