"""Boxes that hold their rounding errors from the start: they contain the exact ones, and are not wider than those with sizes."""

import numpy as np
import pytest
import torch
from rounding_laws import Net, exact, values_of
from torch import nn

F32, F64 = torch.float32, torch.float64
LAYERS = {
    "linear": (nn.Linear(6, 5), (6,)),
    "linear on rows": (nn.Linear(4, 3), (2, 4)),
    "convolution": (nn.Conv2d(2, 3, 3, 2, 1), (2, 5, 5)),
    "groups": (nn.Conv2d(4, 4, 3, 1, 1, groups=2, bias=False), (4, 4, 4)),
    "one axis": (nn.Conv1d(2, 3, 3), (2, 6)),
    "transposed": (nn.ConvTranspose2d(2, 4, 3, 2, groups=2), (2, 3, 3)),
}


def case(name, seed, bent, dtype=F32):
    """The bounds of a layer's values behind a ReLU or a tanh, over a random box, and its node."""
    layer, shape = LAYERS[name]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in layer.parameters():
            # sizes of many orders, and zeros
            part.copy_(
                torch.randn(part.shape, generator=generator) * 10 ** torch.randn(part.shape, generator=generator)
            )
            part.mul_(torch.rand(part.shape, generator=generator) > 0.2)
    model = Net(lambda m, z: m.layer(z.relu() if bent else z.tanh()).flatten(1), layer=layer.to(dtype))
    x = torch.zeros(2, *shape, dtype=dtype)
    values, nodes = values_of(model, x)
    low = torch.randn(x.shape, generator=generator).to(dtype)
    width = 10.0 ** torch.randint(-9, 1, x.shape, generator=generator) * torch.rand(x.shape, generator=generator)
    low = low.relu() if bent else low
    values.boxes[nodes[1]] = (low, low + width.to(dtype))
    return values, nodes[2]


@pytest.mark.parametrize("name", ["linear", "linear on rows"])
@pytest.mark.parametrize("bent", [True, False])
@torch.no_grad()
def test_exact_ends_lie_in_the_box(name, bent):
    for seed in range(10):
        values, node = case(name, seed, bent)
        low, high = map(exact, values.boxes[node.sources[0]])
        layer = LAYERS[name][0]
        weight, bias = exact(layer.weight), exact(layer.bias)
        rising, falling = np.maximum(weight, 0), np.minimum(weight, 0)
        least, most = low @ rising.T + high @ falling.T + bias, high @ rising.T + low @ falling.T + bias
        found = [exact(side) for side in values.box(node)]
        assert bool(np.all(found[0] <= least))
        assert bool(np.all(most <= found[1]))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("run", [None, F32])
@torch.no_grad()
def test_boxes_are_as_tight_as_those_with_sizes(name, run):
    for seed in range(3):
        values, node = case(name, seed, seed % 2 == 0, F64 if run else F32)
        values = type(values)(
            values.network, values.x, values.threat, type(values.rounding)(values.x.dtype, run), values.boxes
        )
        box = values.boxes[node.sources[0]]
        folded, room = values.errors.folded.of(node, [box]), values.errors.boxes.widening(node)
        assert folded is not None
        for end, plain in zip(folded.box, node.interval(box), strict=True):
            # underflow of all numbers on the way is counted at once
            assert bool(((end - plain).abs() <= 2 * room + 1e-30).all())
