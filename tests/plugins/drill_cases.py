"""Random networks, sets and inputs for the soundness drill; everything follows from the seed."""

import random

import attrs
import torch
import torch.nn.functional as F
from test_bounds_graphs import CURVES, Attention, Mixed, RandomGraph
from torch import nn

import inradius
from inradius import ThreatModel

SETS = [
    "linf(eps=0.1)",
    "linf(eps=0.1)",
    "linf(eps=0.1, bounds=None)",
    "l2(eps=0.3)",
    "l2(eps=0.3, bounds=None)",
    "l1(eps=0.6)",
    "l1(eps=0.6, bounds=None)",
    "box(lo=-0.1, hi=0.15)",
    "union(linf(eps=0.07), l2(eps=0.3))",
    "union(l1(eps=0.7), l2(eps=0.4, bounds=None), linf(eps=0.1, bounds=None))",
    "intersection(linf(eps=0.1), l2(eps=0.2))",
    "affine(basis='colour', eps=0.2)",
    "wasserstein(eps=0.3)",
]
# sets whose size is no radius: what is drawn is the height of a patch, or the number of pixels
PATCHES = ["patch(size=1, eps=0.3)", "patch(size=2, eps=0.2)"]
COUNTS = ["l0(k=1)", "l0(k=2)"]
DTYPES = [torch.float32, torch.float64]


@attrs.frozen(eq=False)
class Case:
    """A network in its precision, inputs with its own labels, and the set at a radius that is still to be drawn."""

    name: str
    model: nn.Module
    x: torch.Tensor
    y: torch.Tensor
    spec: str
    threat: ThreatModel
    draw: random.Random


class Joined(nn.Module):
    """A convolution, a skip connection, curves, max-pooling and a concatenation, in an order drawn at random."""

    def __init__(self, shape, draw):
        super().__init__()
        channels = shape[0]
        self.stem = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.side = nn.Conv2d(
            channels, draw.randint(1, 3), draw.choice([1, 2, 3]), stride=draw.choice([1, 2]), padding=1
        )
        self.curve, self.other = draw.choice(CURVES), draw.choice(CURVES)
        self.pooled, self.skips, self.joined = (draw.random() < 0.5 for _ in range(3))
        self.out = nn.LazyLinear(3)

    def forward(self, x):
        h = self.curve(self.norm(self.stem(x)))
        h = h + 0.5 * x if self.skips else torch.maximum(h, x)
        s = self.other(self.side(h))
        s = F.max_pool2d(s, 2, 1) if self.pooled else s
        return self.out(torch.cat([s.flatten(1), h.flatten(1)], dim=1) if self.joined else s.flatten(1))


def chain(shape, draw):
    size = torch.Size(shape).numel()
    # one object in several places, as networks often have it
    layers, relu = [nn.Flatten()], nn.ReLU()
    for _ in range(draw.randint(1, 3)):
        wide = draw.randint(2, 12)
        layers += [nn.Linear(size, wide), relu if draw.random() < 0.7 else draw.choice(CURVES)]
        size = wide
    return nn.Sequential(*layers, nn.Linear(size, 3))


def convolutional(shape, draw):
    wide, kernel, stride = draw.randint(1, 4), draw.randint(1, 3), draw.randint(1, 2)
    layers = [nn.Conv2d(shape[0], wide, kernel, stride, draw.randint(0, 1)), nn.BatchNorm2d(wide), nn.ReLU()]
    if draw.random() < 0.4:
        layers += [nn.Conv2d(wide, wide, 3, 1, 1), draw.choice([nn.ReLU(), nn.LeakyReLU(0.1), nn.Hardtanh()])]
    layers += draw.choice([[], [nn.AvgPool2d(2, 1, 1)], [nn.MaxPool2d(2, 1, 1)]])
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3))


def affine(shape, draw):
    return nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), 3))


def graph(shape, draw):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(torch.Size(shape).numel(), 4), RandomGraph(draw.randrange(10**6), draw.randint(1, 7))
    )


NETWORKS = {
    "chain": (chain, (1, 2, 3)),
    "convolutional": (convolutional, (2, 4, 4)),
    "affine": (affine, (2, 2, 2)),
    "graph": (graph, (1, 2, 2)),
    "joined": (Joined, (2, 3, 3)),
    "mixed": (lambda shape, draw: Mixed(), (1, 2, 2)),
    "attention": (lambda shape, draw: nn.Sequential(nn.Flatten(1, 2), Attention()), (1, 2, 2)),
}
# chains and convolutions are what most networks are; the rest are seldom or slow
WEIGHTS = [30, 25, 4, 20, 16, 3, 2]


def case(seed):
    """The network, set and inputs of one seed; the last input has its label taken from another class."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    (name,) = draw.choices(list(NETWORKS), WEIGHTS)
    build, shape = NETWORKS[name]
    dtype = DTYPES[draw.random() < 0.3]
    model = spread(build(shape, draw), shape, draw).to(dtype).eval()
    corner = draw.random()
    if corner < 0.2:
        out_of_scale(model, draw)
    x = (1.5 * torch.rand(3, *shape) - 0.25).clamp(0, 1).to(dtype)
    with torch.no_grad():
        if 0.2 < corner < 0.3:
            near_a_tie(model, x, draw)
        y = model(x).argmax(1)
    spec = draw.choices([draw.choice(SETS), draw.choice(PATCHES), draw.choice(COUNTS)], [16, 2, 1])[0]
    return Case(name, model, x, y, spec, inradius.make(spec, ThreatModel), draw)


@torch.no_grad()
def spread(model, shape, draw):
    """The network with weights that let the input matter, and running statistics that are not the identity's."""
    model(torch.rand(2, *shape))
    gain = draw.choice([1.0, 2.0, 4.0])
    for value in model.parameters():
        value.copy_(
            (gain / value[0].numel()) ** 0.5 * torch.randn(value.shape)
            if value.ndim > 1
            else 0.2 * torch.randn(value.shape)
        )
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.LayerNorm):
            layer.weight.copy_(1 + 0.3 * torch.randn(layer.weight.shape))
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.copy_(0.3 * torch.randn(layer.running_mean.shape))
            layer.running_var.copy_(0.2 + 2 * torch.rand(layer.running_var.shape))
    return model


@torch.no_grad()
def out_of_scale(model, draw):
    """Weights of 1e4 and of 1e-4: every layer's, or one layer's up and the next one's down."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    scales = [draw.choice([1e4, 1e-4])] * len(layers) if draw.random() < 0.4 else [1e4, 1e-4] * len(layers)
    for layer, scale in zip(layers, scales, strict=False):
        layer.weight.mul_(scale)


@torch.no_grad()
def near_a_tie(model, x, draw):
    """Logits of the first input that nearly tie, so that its radius is next to machine precision."""
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    first, second = model(x[:1])[0].topk(2).indices.tolist()
    logits = model(x[:1])[0]
    gap = draw.choice([1e-4, 1e-6, 1e-7])
    last.bias[second] += (logits[first] - logits[second]) - gap * logits.abs().max()
