"""A network as a chain: affine blocks with elementwise non-linear layers between them."""

import attrs
import torch
from torch import Tensor

from inradius import Operator
from inradius_bounds.layout.block import AffineBlock
from inradius_bounds.layout.state import State
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.network import Network


@attrs.frozen(eq=False)
class ChainLayer:
    """An affine block and the non-linear layer behind it, or None behind the last block."""

    block: AffineBlock
    activation: Operator | None
    # the nodes that the non-linear layer makes, and the state before it: their inputs, and values that pass unchanged
    curves: tuple[Node, ...]
    target: State


@attrs.frozen(eq=False)
class LayerChain:
    """The layers of a network, from the input to the logits."""

    layers: tuple[ChainLayer, ...]
    network: Network

    @property
    def device(self) -> torch.device:
        """The device of the constants."""
        return self.network.device

    def __call__(self, x: Tensor) -> Tensor:
        """The logits, (B, *S) -> (B, C)."""
        for layer in self.layers:
            x = layer.block(x)
            x = x if layer.activation is None else layer.activation(x)
        return x

    @property
    def hidden(self) -> tuple[tuple[AffineBlock, Operator], ...]:
        """The blocks that a non-linear layer follows, each with that layer."""
        return tuple((layer.block, layer.activation) for layer in self.layers if layer.activation is not None)

    @property
    def final(self) -> AffineBlock:
        """The block that gives the logits."""
        return self.layers[-1].block
