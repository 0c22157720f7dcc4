"""A network beside a query: its input shape and type, and its outputs in one row, with its inputs where rows need them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inradius.errors import InputError, UnsupportedError
from inradius.models.outputs import asked
from inradius.verification.vnnlib.query import Query


class FlatNetwork(nn.Module):
    """The network with its outputs in one row, (B, *S) -> (B, O), followed by its inputs where ``with_inputs``."""

    def __init__(self, network: nn.Module, *, with_inputs: bool) -> None:
        super().__init__()
        self.network = network
        self._with_inputs = with_inputs

    def forward(self, x: Tensor) -> Tensor:
        """The outputs in one row."""
        outputs = _in_rows(self.network(x))
        return torch.cat([outputs, _in_rows(x)], dim=1) if self._with_inputs else outputs


def _in_rows(values: Tensor) -> Tensor:
    """The numbers of each example in one row; an example may be a single number without an axis."""
    return values.flatten(1) if values.ndim > 1 else values[:, None]


def check_type(dtype: torch.dtype) -> None:
    """Raises ``UnsupportedError`` unless the type of a network's inputs is float32 or float64."""
    if dtype not in (torch.float32, torch.float64):
        raise UnsupportedError(f"the network takes {dtype}; allowed are float32 and float64")


def check_sizes(network: nn.Module, query: Query, shape: Sequence[int], dtype: torch.dtype) -> None:
    """Raises ``InputError`` where the network has other numbers of inputs or outputs than the query is about.

    Raises ``UnsupportedError`` for inputs without an axis and for outputs that are whole numbers.
    """
    if not shape:
        raise UnsupportedError("the network takes a number without an axis; allowed are inputs with at least one axis")
    if math.prod(shape) != query.inputs:
        raise InputError(
            f"the property is about {query.inputs} inputs, and the network takes {math.prod(shape)}, in the shape {tuple(shape)}; "
            "allowed is one variable X for each"
        )
    with torch.no_grad():
        outputs = _in_rows(asked(network, torch.zeros(1, *shape, dtype=dtype)))
    if not outputs.is_floating_point():
        raise UnsupportedError(f"the network returns {outputs.dtype}; allowed are floating-point numbers")
    if outputs.shape[1] != query.outputs:
        raise InputError(
            f"the property is about {query.outputs} outputs, and the network has {outputs.shape[1]}; allowed is one variable Y for "
            "each"
        )
