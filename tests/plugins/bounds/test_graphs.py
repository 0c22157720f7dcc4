"""Bounds of networks that are no chain of layers: every value that is attained lies inside, whatever the graph."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import Attack, Certifier, ExampleRNG, Property, ThreatModel, UnsupportedError
from inradius.testing import check_layer_rule
from inradius_bounds.capture.trace import trace
from inradius_bounds.rules.functions import Exp, Reciprocal, Square, SquareRoot

SETTINGS = settings(max_examples=12, deadline=None, derandomize=True)
CURVES = [
    nn.LeakyReLU(0.1),
    nn.LeakyReLU(-0.5),
    nn.LeakyReLU(2.0),
    nn.Hardtanh(-0.5, 1.5),
    nn.ReLU6(),
    nn.ELU(),
    nn.ELU(2.5),
    nn.CELU(0.7),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.Softplus(),
    nn.Softplus(beta=3, threshold=5),
    nn.GELU(),
    nn.GELU(approximate="tanh"),
    nn.SiLU(),
    Square(),
]


class Residual(nn.Module):
    """A block with a skip connection, its sum taken in place."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, stride, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.skip = nn.Identity() if stride == 1 else nn.Conv2d(channels, channels, 1, stride)

    def forward(self, x):
        out = F.relu(self.norm(self.first(x)))
        out = self.second(out)
        out += self.skip(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3, padding=1)
        self.blocks = nn.Sequential(Residual(3), Residual(3, 2))
        self.out = nn.Linear(3, 4)

    def forward(self, x):
        x = self.blocks(torch.relu(self.stem(x)))
        x = F.adaptive_avg_pool2d(x, 1)
        return self.out(x.view(x.size(0), -1))


class Mixed(nn.Module):
    """Reuse of a layer, concatenation, weights outside of layers, and several curves at one level."""

    def __init__(self):
        super().__init__()
        self.inner, self.again = nn.Linear(4, 4), nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.randn(4))
        self.out = nn.Linear(12, 3)

    def forward(self, x):
        x = x.flatten(1)
        h = torch.tanh(self.again(self.again(x).relu()))
        g = F.gelu(self.inner(h) * self.scale + h - 0.5 * x)
        return self.out(torch.cat([g - 0.5 * h, torch.sigmoid(h), torch.maximum(h, x)], dim=1))


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pool, self.out = nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(3, 2, 1), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.pool(F.leaky_relu(self.conv(x), 0.1)).flatten(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(2, 2) for _ in range(3))
        self.norm, self.out = nn.LayerNorm(2), nn.Linear(4, 3)

    def forward(self, x):
        weights = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) / 2, dim=-1)
        return self.out(self.norm(weights @ self.value(x) + x).flatten(1))


class RandomGraph(nn.Module):
    """Values made one after the other, each of any earlier ones by an operator drawn at random."""

    OPERATORS = (
        "linear",
        "relu",
        "add",
        "sub",
        "tanh",
        "mul",
        "cat",
        "leaky",
        "square",
        "max",
        "slice",
        "clamp",
        "mean",
    )

    def __init__(self, seed, steps):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        draw = lambda high: int(torch.randint(high, (1,), generator=generator))  # noqa: E731
        self.plan = [
            (self.OPERATORS[draw(len(self.OPERATORS))], draw(place + 1), draw(place + 1)) for place in range(steps)
        ]
        torch.manual_seed(seed)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(steps))
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        values = [x.flatten(1)]
        for layer, (name, first, second) in zip(self.layers, self.plan, strict=True):
            values.append(self.apply_one(name, layer, values[first], values[second]))
        return self.out(torch.cat([values[-1], values[len(values) // 2]], dim=1))

    @staticmethod
    def apply_one(name, layer, a, b):
        return {
            "linear": lambda: layer(a),
            "relu": lambda: F.relu(layer(a)),
            "add": lambda: a + 0.5 * b,
            "sub": lambda: layer(a) - b,
            "tanh": lambda: torch.tanh(a),
            "mul": lambda: torch.tanh(a) * torch.sigmoid(b),
            "cat": lambda: torch.cat([a[:, :2], b[:, 2:]], dim=1),
            "leaky": lambda: F.leaky_relu(a, 0.25),
            "square": lambda: torch.tanh(a) ** 2,
            "max": lambda: torch.maximum(a, b),
            "slice": lambda: a[:, [3, 0, 2, 1]].neg(),
            "clamp": lambda: a.clamp(-0.25, 0.375),
            "mean": lambda: a - b.mean(1, keepdim=True),
        }[name]()


NETWORKS = {
    "residual": (ResNet, (1, 4, 4)),
    "mixed": (Mixed, (2, 2)),
    "pooled": (Pooled, (1, 4, 4)),
    "attention": (Attention, (2, 2)),
}


def check_bounds(model, shape, spec, certifiers=("interval()", "dual()", "crown()"), seed=0):
    """No value that is sampled or attacked falls below a bound, and the bounds are those of any batch."""
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    threat = inradius.make(spec, ThreatModel)
    with torch.no_grad():
        y = model(x).argmax(1)
    prop = Property.margins(y, model(x[:1]).shape[1], dtype=x.dtype)
    found = inradius.make("pgd(steps=8, restarts=2, objective=margin(), keep_maximising=True)", Attack)(
        model, x, y, threat
    )
    rng = ExampleRNG(seed, torch.arange(3))
    points = [found.delta, torch.zeros_like(x), *(threat.sample(x, rng=rng) for _ in range(6))]
    for name in certifiers:
        lower = inradius.make(name, Certifier)(model, x, y, threat).lower
        assert bool(lower.isfinite().all()), (name, lower)
        for delta in points:
            values = (prop.weights @ model(x + delta)[..., None]).squeeze(2).detach()
            assert bool((lower <= values + 1e-9).all()), (name, float((lower - values).max()))
        alone = inradius.make(name, Certifier)(model, x[1:2], y[1:2], threat).lower
        torch.testing.assert_close(alone, lower[1:2], rtol=1e-9, atol=1e-9)
    return lower


@pytest.mark.parametrize("spec", ["linf(eps=0.05)", "l2(eps=0.2)", "l1(eps=0.3)"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_are_no_chain(name, spec):
    kind, shape = NETWORKS[name]
    torch.manual_seed(1)
    check_bounds(kind().double().eval(), shape, spec)


@SETTINGS
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 7), eps=st.sampled_from([0.01, 0.1, 0.3]))
def test_random_graphs(seed, steps, eps):
    check_bounds(RandomGraph(seed, steps).double().eval(), (1, 4), f"linf(eps={eps}, bounds=None)", seed=seed)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 10**9), steps=st.integers(1, 12), eps=st.sampled_from([0.001, 0.01, 0.1, 0.3, 1.0]))
def test_many_random_graphs(seed, steps, eps):
    check_bounds(RandomGraph(seed, steps).double().eval(), (1, 4), f"l2(eps={eps}, bounds=None)", seed=seed)


class Lambda(nn.Module):
    """A function of images (B, 2, 4, 4), with weights for those that need some."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.image, self.kernel, self.back = (
            nn.Parameter(torch.randn(shape)) for shape in ((4, 4), (3, 2, 2, 2), (2, 3, 2, 2))
        )
        self.register_buffer("mean", torch.randn(2))
        self.bias, self.line, self.variance = (nn.Parameter(torch.randn(shape)) for shape in ((3,), (3, 2, 2), (2,)))

    def forward(self, x):
        out = self.function(self, x).flatten(1)
        return torch.stack([out[:, 0] - out[:, -1], out.mean(1), out[:, 1] + 0.1], dim=1)


OPERATORS = {
    "conv_transpose2d": lambda m, x: F.relu(F.conv_transpose2d(x, m.back, m.bias, stride=2)),
    "conv2d": lambda m, x: F.conv2d(x.relu(), m.kernel, m.bias, stride=2, dilation=2, padding=1),
    "conv1d": lambda m, x: F.conv1d(x.flatten(2), m.line, bias=m.bias, padding=1),
    "linear": lambda m, x: F.linear(x, m.image).tanh() @ m.image,
    "matmul": lambda m, x: torch.matmul(m.image, x),
    "pad": lambda m, x: F.pad(x, (1, 0, 2, 1), value=0.7),
    "permute": lambda m, x: x.permute(0, 3, 1, 2).contiguous().transpose(1, 2),
    "split": lambda m, x: torch.cat([half.relu() for half in reversed(x.split(2, dim=3))], dim=2),
    "chunk": lambda m, x: torch.stack([*(each - 0.5 for each in x.chunk(2, dim=1)), x[:, :1]], dim=1),
    "unbind": lambda m, x: x.unbind(2)[1] * 3 - x.unbind(2)[0] / m.image[0, 0],
    "sum": lambda m, x: (2 - x.sum((2, 3), keepdim=True) + x).sigmoid(),
    "mean": lambda m, x: x.mean(dim=(1, 2)).square(),
    "avg_pool": lambda m, x: F.avg_pool2d(x, 2, 1) - F.adaptive_avg_pool2d(x, (3, 3)),
    "max_pool": lambda m, x: F.max_pool2d(x, 2, stride=1, padding=1, dilation=1),
    "batch_norm": lambda m, x: F.batch_norm(x, m.mean, m.mean.abs() + 0.5, m.variance, eps=0.1),
    "layer_norm": lambda m, x: F.layer_norm(x, (4, 4), m.image, m.image),
    "softmax": lambda m, x: F.softmax(3 * x[:, 0, 0] - x[:, 1, 1], dim=1),
    "min": lambda m, x: torch.minimum(x[:, :1], x[:, 1:]) + torch.max(x[:, :1], -x[:, 1:]),
    "abs": lambda m, x: (x - 0.5).abs() + F.relu6(4 * x) + F.hardtanh(x - 0.2, -0.1, 0.3),
    "pow": lambda m, x: (x - 0.3) ** 2 + (x + 1) ** -1 + (x + 1).pow(0.5),
    "quotient": lambda m, x: x[:, :1] / (1 + x[:, 1:] * x[:, 1:]),
    "exp": lambda m, x: (-x).exp() + F.silu(4 * x - 2) + F.softplus(x, beta=2) + F.elu(x - 0.5) + F.celu(x - 0.4),
    "product": lambda m, x: x[:, :1] * x[:, 1:] * m.image,
    "attention": lambda m, x: x[:, 0] @ x[:, 1],
    "expand": lambda m, x: x.mean((2, 3), keepdim=True).expand(-1, 2, 3, 3) * 2 + x[:, :, 1:, 1:],
    "reuse": lambda m, x: F.conv2d(F.pad(F.relu(F.conv2d(x, m.kernel)), (1, 0, 1, 0))[:, :2], m.kernel).relu(),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    check_bounds(Lambda(OPERATORS[name]).double().eval(), (2, 4, 4), "linf(eps=0.1)")


def test_a_graph_that_is_a_chain_has_the_chains_bounds():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)
    ).double()

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = layers[1], layers[3], layers[5]

        def forward(self, x):
            return self.third(self.second(self.first(x.reshape(len(x), -1)).relu()).relu())

    x, y = torch.rand(3, 1, 2, 3, dtype=torch.float64), torch.tensor([0, 1, 2])
    threat = inradius.make("linf(eps=0.1)", ThreatModel)
    for name in ("interval()", "dual()", "alpha(steps=5)"):
        certifier = inradius.make(name, Certifier)
        expected = certifier(layers, x, y, threat).lower
        torch.testing.assert_close(certifier(Wrapped().eval(), x, y, threat).lower, expected)


def test_bounds_follow_the_parameters():
    torch.manual_seed(2)
    model, threat = Mixed().double().eval(), inradius.make("linf(eps=0.02)", ThreatModel)
    x = torch.rand(2, 2, 2, dtype=torch.float64)
    check_bounds(model, (2, 2), "linf(eps=0.02)")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-1.5)
    y = model(x).argmax(1)
    fresh = Mixed().double().eval()
    fresh.load_state_dict(model.state_dict())
    certifier = inradius.make("dual()", Certifier)
    torch.testing.assert_close(certifier(model, x, y, threat).lower, certifier(fresh, x, y, threat).lower)
    certifier.bound(model, x, y, threat).sum().backward()
    assert model.scale.grad is not None
    assert float(model.scale.grad.abs().sum()) > 0


def test_what_a_module_reads_off_itself_may_change():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.factor, self.shift = nn.Linear(4, 3), 1.0, nn.Parameter(torch.tensor(0.3))

        def forward(self, x):
            return self.layer(x.flatten(1) + self.shift) * self.factor

    torch.manual_seed(3)
    model, x = Scaled().double(), torch.rand(2, 2, 2, dtype=torch.float64)
    threat, certifier = inradius.make("linf(eps=0.01)", ThreatModel), inradius.make("dual()", Certifier)
    y = model(x).argmax(1)
    before = certifier(model, x, y, threat)
    model.factor = -2.0
    after = certifier(model, x, y, threat)
    assert bool(before.certified.any())
    assert not bool(after.certified[before.certified].any())


@pytest.mark.parametrize("layer", [nn.CELU(-1.0), nn.Softplus(beta=-1.0)], ids=str)
def test_curves_that_turn_elsewhere_are_refused(layer):
    with pytest.raises(UnsupportedError, match="allowed is"):
        trace(nn.Sequential(layer), torch.zeros(1, 2))


@pytest.mark.parametrize("layer", CURVES, ids=str)
def test_curves_keep_the_laws(layer):
    check_layer_rule(layer, (3,))


@pytest.mark.parametrize("layer", [Exp(), Reciprocal(), SquareRoot()], ids=str)
def test_curves_on_a_part_of_the_line(layer):
    x = torch.linspace(0.1, 3.0, 7, dtype=torch.float64)
    chain = trace(nn.Sequential(nn.Flatten(), layer, nn.Linear(7, 2).double()), x[None, None])
    op = chain.hidden[0][1]
    for width in (0.0, 1e-12, 0.05, 0.09):
        lower, upper = x[None] - width, x[None] + width
        below, above = op.rule.lines(op, lower, upper)
        for z in (lower, upper, x[None], lower + 0.3 * (upper - lower)):
            for slope, offset in below:
                assert bool((slope * z + offset <= layer(z) + 1e-12).all())
            for slope, offset in above:
                assert bool((slope * z + offset >= layer(z) - 1e-12).all())


def test_an_interval_that_reaches_a_pole_proves_nothing():
    class Pole(nn.Module):
        def forward(self, x):
            return torch.stack([1 / x.flatten(1).sum(1), x.flatten(1)[:, 0]], dim=1)

    x = torch.full((1, 1, 2), 0.1, dtype=torch.float64)
    found = inradius.make("dual()", Certifier)(
        Pole(), x, torch.tensor([0]), inradius.make("linf(eps=0.3, bounds=None)", ThreatModel)
    )
    assert not bool(found.certified.any())


def joins():
    class Joins(nn.Module):
        def forward(self, x):
            return x.flatten(1) - x.flatten(1).mean(0, keepdim=True)

    return Joins()


def branches():
    class Branches(nn.Module):
        def forward(self, x):
            return x.flatten(1) if x.sum() > 0 else -x.flatten(1)

    return Branches()


def in_place():
    class InPlace(nn.Module):
        def forward(self, x):
            h = x.flatten(1) * 1
            other = h[:, :]
            h += 1
            return torch.cat([h, other], dim=1)

    return InPlace()


def sorts():
    class Sorts(nn.Module):
        def forward(self, x):
            return torch.cumsum(x.flatten(1), 1)

    return Sorts()


@pytest.mark.parametrize(
    ("build", "fragment"),
    [
        (joins, "batches of 1 and 2 differ"),
        (branches, "reads a number off a value that depends on the input"),
        (in_place, "was changed in place through another tensor"),
        (sorts, r"cumsum \(aten.cumsum.default\), which no layer rule covers"),
    ],
)
def test_what_cannot_be_bounded_is_refused(build, fragment):
    x = torch.rand(2, 1, 2, dtype=torch.float64)
    with pytest.raises(UnsupportedError, match=fragment):
        inradius.make("dual()", Certifier)(
            build(), x, torch.tensor([0, 1]), inradius.make("linf(eps=0.1)", ThreatModel)
        )
