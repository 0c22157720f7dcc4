"""Random networks, sets and inputs for the soundness drill; everything follows from the seed.

Three kinds: graphs of operators drawn at random, layers put together at random, and networks trained on digits.
"""

import copy
import random
import warnings
from functools import cache

import attrs
import torch
import torch.nn.functional as F
from drill_graphs import OPERATORS, OTHERS, SHAPES, converted, graph, out_of_scale
from graph_networks import CURVES, Attention, Mixed, RandomGraph
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
# sets for graphs, of any size
UNBOUNDED = ["linf(eps={0}, bounds=None)"] * 3 + [
    "l2(eps={0}, bounds=None)",
    "l1(eps={0}, bounds=None)",
    "union(l1(eps={0}, bounds=None), linf(eps={1}, bounds=None))",
    "intersection(linf(eps={0}, bounds=None), l2(eps={0}, bounds=None))",
]


@attrs.frozen(eq=False)
class Case:
    """A network in its precision, inputs with its own labels, and the set at a radius that is still to be drawn.

    ``exact`` is the network with the same stored weights in float64; ``known`` says that each of its operators had a rule at
    commit 24277d0.
    """

    name: str
    model: nn.Module
    exact: nn.Module
    x: torch.Tensor
    y: torch.Tensor
    spec: str
    threat: ThreatModel
    draw: random.Random
    operators: tuple[str, ...] = ()
    known: bool = True

    @property
    def classes(self):
        return self.exact(self.x[:1].double()).shape[1]


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


def random_graph(shape, draw):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(torch.Size(shape).numel(), 4), RandomGraph(draw.randrange(10**6), draw.randint(1, 7))
    )


NETWORKS = {
    "chain": (chain, (1, 2, 3)),
    "convolutional": (convolutional, (2, 4, 4)),
    "affine": (affine, (2, 2, 2)),
    "graph": (random_graph, (1, 2, 2)),
    "joined": (Joined, (2, 3, 3)),
    "mixed": (lambda shape, draw: Mixed(), (1, 2, 2)),
    "attention": (lambda shape, draw: nn.Sequential(nn.Flatten(1, 2), Attention()), (1, 2, 2)),
}
# chains and convolutions are what most networks are; the rest are seldom or slow
WEIGHTS = [30, 25, 4, 20, 16, 3, 2]


def case(seed):
    """The network, set and inputs of one seed."""
    kind = random.Random(seed ^ 0x5EED).choices([drawn, layered, trained], [12, 5, 3])[0]
    return kind(seed)


def layered(seed):
    """Layers put together at random: chains, convolutions and a few graphs, on images in [0, 1]."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    (name,) = draw.choices(list(NETWORKS), WEIGHTS)
    build, shape = NETWORKS[name]
    dtype = DTYPES[draw.random() < 0.3]
    model = spread(build(shape, draw), shape, draw).to(dtype).eval()
    corner = draw.random()
    if corner < 0.2:
        far_apart(model, draw)
    x = (1.5 * torch.rand(3, *shape) - 0.25).clamp(0, 1).to(dtype)
    with torch.no_grad():
        if 0.2 < corner < 0.3:
            near_a_tie(model, x, draw)
        y = model(x).argmax(1)
    spec = draw.choices([draw.choice(SETS), draw.choice(PATCHES), draw.choice(COUNTS)], [16, 2, 1])[0]
    threat = inradius.make(spec, ThreatModel)
    return Case(name, model, copy.deepcopy(model).double(), x, y, spec, threat, draw)


def drawn(seed, names=None, *, dtype=None, decades=None):
    """A graph of operators drawn at random, or of those named, in any precision and at any scale that it allows."""
    draw = random.Random(seed)
    shape = draw.choice(SHAPES)
    if names is None:
        pool = [list(OPERATORS)] * 2 + [list(OTHERS)] if draw.random() < 0.4 else [list(OPERATORS)]
        names = [draw.choice(draw.choice(pool)) for _ in range(draw.choice([1, 1, 2, 2, 3, 4, 5, 6]))]
    dtype = dtype or draw.choices([torch.float16, torch.float32, torch.float64], [2, 5, 3])[0]
    decades = decades if decades is not None else draw.choice([0, 0, 20])
    state = draw.getrandbits(32)
    for reach in (decades, min(decades, 4), 0):
        found = _drawn(
            seed, random.Random(state), shape, names, dtype, min(reach, 3) if dtype == torch.float16 else reach
        )
        with torch.no_grad():
            # outputs that are no numbers are nobody's claim, while numbers inside may overflow as they like
            if found.model(found.x).isfinite().all() and found.exact(found.x.double()).isfinite().all():
                break
    return found


def _drawn(seed, draw, shape, names, dtype, decades):
    scale = 10.0 ** draw.randint(-decades, decades)
    inside = scale == 1 and draw.random() < 0.5
    torch.manual_seed(seed)
    x = torch.rand(2, *shape) if inside else scale * torch.randn(2, *shape)
    x = x.to(dtype)
    state = draw.getstate()

    def build():
        draw.setstate(state)
        made = graph(seed, draw, x.float(), names)
        corner = draw.random()
        if corner < 0.2:
            out_of_scale(made, draw, 2 if dtype == torch.float16 else 10)
        elif corner < 0.3 and isinstance(list(made.modules())[-1], nn.Linear):
            near_a_tie(made, x.float(), draw)
        return converted(made, dtype)

    model, exact = build(), converted(build(), torch.float64)
    exact.cuts = False
    # no set that asks for a program to be solved, and none whose channels have a meaning
    small = [spec for spec in SETS if "wasserstein" not in spec and "affine" not in spec]
    spec = draw.choice(small) if inside else draw.choice(UNBOUNDED).format(0.1 * scale, 0.05 * scale)
    with torch.no_grad():
        y = exact(x.double()).argmax(1)
    known = all(name in OPERATORS for name in names)
    return Case("drawn", model, exact, x, y, spec, inradius.make(spec, ThreatModel), draw, tuple(names), known)


def trained(seed):
    """A network that was trained on digits, in any precision, at two of them."""
    draw = random.Random(seed)
    name = draw.choice(list(TRAINED))
    dtype = draw.choices([torch.float16, torch.float32, torch.float64], [1, 3, 2])[0]
    model = copy.deepcopy(trained_network(name)).to(dtype).eval()
    exact = copy.deepcopy(model).double()
    images, _ = digits()
    x = images[[draw.randrange(len(images)) for _ in range(2)]].to(dtype)
    spec = draw.choice(["linf(eps=0.05)", "linf(eps=0.05, bounds=None)", "l2(eps=0.3)", "l1(eps=0.5)"])
    with torch.no_grad():
        y = exact(x.double()).argmax(1)
    return Case(name, model, exact, x, y, spec, inradius.make(spec, ThreatModel), draw)


class Skipping(nn.Module):
    """Two residual blocks of dense layers."""

    def __init__(self):
        super().__init__()
        self.stem, self.first, self.second = nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.norm, self.out = nn.BatchNorm1d(16), nn.Linear(16, 10)

    def forward(self, x):
        h = self.stem(x.flatten(1))
        h = h + self.first(h.relu())
        h = h + self.second(self.norm(h).relu())
        return self.out(h)


class Pooling(nn.Module):
    """Attention pooling over the rows of an image, by scores of the raw input."""

    def __init__(self):
        super().__init__()
        self.score, self.out = nn.Linear(8, 4), nn.Linear(32, 10)

    def forward(self, x):
        rows = x.flatten(1, 2)
        return self.out((torch.softmax(self.score(rows), dim=1).transpose(1, 2) @ rows).flatten(1))


class Gated(nn.Module):
    """x · sigmoid(W x) and a layer behind it."""

    def __init__(self):
        super().__init__()
        self.gate, self.out = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = x.flatten(1)
        return self.out(x * torch.sigmoid(self.gate(x)))


def _dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 10))


def _convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Flatten(), nn.Linear(24, 10),
    )  # fmt: skip


TRAINED = {
    "dense": _dense,
    "batch_norm": _convolutional,
    "residual": Skipping,
    "attention_pooling": Pooling,
    "gated": Gated,
}


@cache
def digits():
    """Images of digits in [0, 1], (N, 1, 8, 8), and their labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sklearn.datasets import load_digits

        found = load_digits()
    return torch.tensor(found.images, dtype=torch.float32)[:, None] / 16, torch.tensor(found.target)


@cache
def trained_network(name):
    """The network after a second of training, in float32."""
    torch.manual_seed(0)
    images, labels = digits()
    model = TRAINED[name]()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(250):
        index = torch.randint(len(images), (128,))
        optimizer.zero_grad()
        F.cross_entropy(model(images[index]), labels[index]).backward()
        optimizer.step()
    return model.eval()


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
def far_apart(model, draw):
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
    if last.bias is None:
        return
    last.bias[second] += (logits[first] - logits[second]) - gap * logits.abs().max()
