"""Bounds of the layers of a chain, and their exchange with those of the nodes of a network."""

from collections.abc import Sequence

import attrs

from inradius import Operator, Relaxation
from inradius_bounds.box import Box
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import Relax


@attrs.define(eq=False)
class LayerBounds:
    """Bounds of the inputs of non-linear layers, from the first on, with the relaxations over them."""

    bounds: list[Box] = attrs.field(factory=list)
    relaxations: list[Relaxation] = attrs.field(factory=list)

    def add(self, activation: Operator, interval: Box, relax: Relax) -> None:
        """Appends one layer."""
        self.bounds.append(interval)
        self.relaxations.append(relax(activation, *interval))


def level_boxes(chain: LayerChain, values: ValueBounds) -> list[Box]:
    """The boxes of the inputs of each level of non-linear layers."""
    found = []
    for layer in chain.layers[:-1]:
        boxes = [values.box(node) for node in layer.target.nodes]
        found.append((layer.target.joined([low for low, _ in boxes]), layer.target.joined([high for _, high in boxes])))
    return found


def by_node(chain: LayerChain, relaxations: Sequence[Relaxation]) -> dict[Node, Relaxation]:
    """The relaxations of levels as relaxations of their curves."""
    found = {}
    for layer, relaxed in zip(chain.layers, relaxations, strict=False):
        names = ("lower_slope", "lower_offset", "upper_slope", "upper_offset")
        parts = {name: layer.target.split(getattr(relaxed, name)) for name in names}
        for place, node in enumerate(layer.curves):
            slope, low, steep, high = (parts[name][place] for name in names)
            steep = slope if relaxed.parallel else steep
            found[node] = Relaxation(lower_slope=slope, lower_offset=low, upper_slope=steep, upper_offset=high)
    return found
