"""Rounding errors are counted as bounds are made. They add up over the depth, and hold for numbers of any size."""

import itertools
from fractions import Fraction

import pytest
import torch
from exact_fractions import flushing
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel
from inradius_bounds.backward.rows.dot import dot, dot_terms

POINT = "linf(eps=0.0, bounds=None)"


def certify(kind, model, x, y=None, spec=POINT, **options):
    certifier, threat = inradius.make(kind, Certifier), inradius.make(spec, ThreatModel)
    return certifier(model, x, y, threat, **options)


def deep(layers=16, width=100):
    torch.manual_seed(0)
    sizes = [64, *[width] * layers, 10]
    parts = []
    for before, after in itertools.pairwise(sizes):
        layer = nn.Linear(before, after)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(layer.bias, 0, 0.05)
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts[:-1]).eval()


@pytest.mark.parametrize(("kind", "claim"), in_turn(["crown()", "dual()", "alpha()"], ["float", "real"]))
def test_rounding_does_not_grow_with_the_depth(kind, claim):
    net = deep()
    x = inradius.make("digits").take(20).inputs.flatten(1)
    y = net(x).argmax(1)
    proof = certify(kind, net, x, y, claim=claim)
    assert bool(proof.certified.all())
    assert int((proof.precision == 32).sum()) >= 18
    assert float(proof.error.median()) < 8e-3
    assert proof.claim.count(claim) >= 18


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.first, self.second = nn.Conv2d(before, after, 3, stride, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.norm, self.again = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.skip = nn.Conv2d(before, after, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return (self.again(self.second(self.norm(self.first(x)).relu())) + self.skip(x)).relu()


@pytest.mark.parametrize("kind", ["interval()", "crown(inner='interval')"])
def test_a_deep_residual_network_is_certified_at_a_point(kind):
    torch.manual_seed(0)
    blocks = [Block(8, 8, 1), Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 1), Block(16, 32, 2), Block(32, 32, 1)]
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    ).eval()
    x = torch.rand(1, 3, 16, 16)
    assert bool(certify(kind, net, x, net(x).argmax(1)).certified.all())


def scaled(*factors, bias=0.0):
    layers = [part for factor in factors for part in (nn.Linear(1, 1), nn.ReLU())][:-1]
    net = nn.Sequential(*layers)
    with torch.no_grad():
        for layer, factor in zip(net[::2], factors, strict=True):
            layer.weight.fill_(factor)
            layer.bias.zero_()
        net[-1].bias.fill_(bias)
    return net.eval()


@pytest.mark.parametrize("claim", ["float", "real"])
@pytest.mark.parametrize("kind", ["interval()", "dual()", "crown()", "alpha(keep_maximising=True)"])
@pytest.mark.parametrize(
    ("factors", "bias"),
    [((1e19, 1e19, 1.3e-22, -1e-22), 0.0), ((1e-23, 1e-23, 1e23, -1e23), 0.41)],
    ids=["large", "small"],
)
def test_products_that_underflow_prove_nothing(factors, bias, kind, claim):
    """In exact arithmetic the output is −1.3e-6 or −0.59; what underflows to 0 would leave it at 0 or above."""
    net, x = scaled(*factors, bias=bias), torch.ones(1, 1)
    prop = Property(weights=torch.ones(1, 1, 1), offsets=torch.zeros(1, 1))
    proof = certify(kind, net, x, prop=prop, claim=claim)
    exact = bias + float(torch.tensor(factors[0]).double())
    for factor in factors[1:]:
        exact = (exact - bias) * float(torch.tensor(factor).double()) + bias
    assert bool((proof.lower.double() - proof.error.double() <= exact).all())
    assert not bool(proof.certified.any())


@pytest.mark.parametrize("shape", [(5,), (64,), (65,), (784,), (3, 7, 5), (2, 40, 40), (5000,)])
def test_sums_in_two_levels_are_sums(shape):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 3, *shape, dtype=torch.float64, generator=generator)
    values = torch.randn(2, *shape, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(dot(rows, values), (rows * values[:, None]).flatten(2).sum(2))
    torch.testing.assert_close(dot(rows, values[:1]), (rows * values[:1, None]).flatten(2).sum(2))
    narrow = dot(rows.float(), values.float()).double()
    exact = (rows.float().double() * values[:, None].float().double()).flatten(2)
    bound = dot_terms(torch.Size(shape)) * 2.0**-24 * 1.01 * exact.abs().sum(2)
    assert bool(((narrow - exact.sum(2)).abs() <= bound).all())


def test_a_sum_that_hangs_on_its_order_is_real_and_not_float():
    """2²⁴ + 1 − 2²⁴ is 1 in exact arithmetic, and 0 in one order of float32."""
    net = nn.Linear(3, 1, bias=True)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[2.0**24, 1.0, -(2.0**24)]]))
        net.bias.fill_(-0.5)
    prop = Property(weights=torch.ones(1, 1, 1), offsets=torch.zeros(1, 1))
    proof = certify("crown()", net.eval(), torch.ones(1, 3), prop=prop)
    assert proof.claim == ("real",)
    assert bool(proof.certified.all())


class Shifted(nn.Module):
    """The sum of many numbers of a constant that meets the values behind the last curve: beside, added, or as a bias."""

    def __init__(self, kind, numbers):
        super().__init__()
        self.kind, count = kind, numbers.numel()
        self.register_buffer("numbers", numbers)
        self.last = nn.Linear(count + (kind == "beside"), 1, bias=False)
        self.bias = nn.Conv2d(1, 1, 1)
        self.last.weight.data = numbers[None].clone() if kind == "bias" else torch.ones_like(self.last.weight)
        nn.init.ones_(self.bias.bias)

    def forward(self, z):
        z = z.relu()
        if self.kind == "bias":
            return self.last(self.bias(z[:, None, None]).flatten(1))
        if self.kind == "beside":
            return self.last(torch.cat([z[:, :1], self.numbers[None].expand(len(z), -1)], 1))
        return self.last(0.5 * z + self.numbers)


@pytest.mark.parametrize("kind", ["beside", "added", "bias"])
@pytest.mark.parametrize("spec", ["interval()", "dual()"])
def test_sums_of_many_constants_are_rounded(spec, kind):
    """1 + 0.99 u + ... − 1 loses the small numbers where it is added up in order."""
    numbers = torch.full((2048,), 0.99 * 2.0**-24)
    numbers[0], numbers[-1] = 1, -1
    exact = -sum(Fraction(number) for number in numbers.double().tolist())
    for offset in (1.17e-4, 1.2e-4):
        prop = Property(-torch.ones(1, 1, 1), torch.full((1, 1), offset))
        proof = certify(spec, Shifted(kind, numbers).eval(), torch.zeros(1, 2048), prop=prop, claim="real")
        value = exact + Fraction(float(prop.offsets))
        assert Fraction(float(proof.lower)) - Fraction(float(proof.error)) <= value < 0
        assert not bool(proof.certified.any())


@pytest.mark.parametrize("claim", ["float", "real"])
@pytest.mark.parametrize(
    ("spec", "place", "eps"), [("interval()", 0, 1), ("crown()", -3, 4), ("crown(intersect=False, best=False)", -3, 4)]
)
def test_boxes_and_lines_that_underflow_prove_nothing(spec, place, eps, claim):
    """Halves of small boxes and bands of small lines are flushed to 0 by some machines, and a large weight follows."""
    last, least = nn.Linear(1, 1, bias=False), torch.finfo(torch.float32).smallest_normal
    nn.init.constant_(last.weight, -1e38)
    prop = Property(torch.ones(1, 1, 1), torch.ones(1, 1))
    with flushing():
        # the value is 1 − 1e38 · least = −0.18 at x + eps
        x, around = torch.tensor([[place * least]]), f"linf(eps={eps * least!r}, bounds=None)"
        proof = certify(spec, nn.Sequential(nn.ReLU(), last).eval(), x, spec=around, prop=prop, claim=claim)
    value = 1 + Fraction(float(last.weight.detach())) * Fraction(least)
    assert Fraction(float(proof.lower)) - Fraction(float(proof.error)) <= value < 0
    assert not bool(proof.certified.any())


class Gated(nn.Module):
    """−10⁶ times the positive part of a function of a number, so that bounds of that function decide the sign."""

    def __init__(self, function):
        super().__init__()
        self.function, self.same, self.last = function, nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.same.weight)
        nn.init.constant_(self.last.weight, -1e6)

    def forward(self, z):
        return self.last(self.function(self, z).relu())


def used_often(model, z):
    """1 + 0.99 u + ... + 0.99 u times a number, less 1 + 60 u. The rows of all its uses are added up, and lose the small ones."""
    z, small = model.same(z.relu()), 2.0**-24 * 0.99
    total = small * z
    for _ in range(119):
        total = total + small * z
    return z + total - (1 + 60 * 2.0**-24)


@pytest.mark.parametrize("spec", ["interval()", "dual()", "crown()", "crown(intersect=False, best=False)"])
def test_rows_of_several_uses_are_rounded(spec):
    """An inner number is one row's alone, but not behind the sum in which its source is used many times."""
    prop = Property(torch.ones(1, 1, 1), torch.full((1, 1), 2.0))
    around = "linf(eps=0.5, bounds=None)"
    proof = certify(spec, Gated(used_often).eval(), torch.full((1, 1), 0.5), spec=around, prop=prop, claim="real")
    # at z = 1
    small = Fraction(float(torch.tensor(2.0**-24 * 0.99)))
    value = 2 - Fraction(10**6) * (120 * small - Fraction(60, 2**24))
    assert Fraction(float(proof.lower)) - Fraction(float(proof.error)) <= value < 0
    assert not bool(proof.certified.any())


@pytest.mark.parametrize("spec", ["interval()", "dual()", "crown()", "crown(intersect=False, best=False)"])
def test_ends_of_the_input_s_box_that_underflow_prove_nothing(spec):
    """x − eps is −least / 2, which some machines flush to 0; a large weight follows."""
    least, prop = torch.finfo(torch.float32).smallest_normal, Property(torch.ones(1, 1, 1), torch.full((1, 1), 1e3))
    model = Gated(lambda model, z: -1e38 * z + z.relu() - 0.3).eval()
    with flushing():
        x, around = torch.tensor([[1.5 * least]]), f"linf(eps={2 * least!r}, bounds=None)"
        proof = certify(spec, model, x, spec=around, prop=prop, claim="real")
    # at z = −least / 2
    value = 1e3 - Fraction(10**6) * (Fraction(float(torch.tensor(1e38))) * Fraction(least) / 2 - Fraction(3, 10))
    assert Fraction(float(proof.lower)) - Fraction(float(proof.error)) <= value < 0
    assert not bool(proof.certified.any())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spec", ["interval()", "dual()", "crown()"])
def test_rows_of_affine_functions_that_underflow_prove_nothing(spec, dtype):
    """The product of two layers' small weights is lost, and a large distance and a large weight follow."""
    small, eps, large = (1e-23, 1e19, -1e30) if dtype == torch.float32 else (1e-170, 1e150, -1e200)
    layers = [nn.Linear(1, 1, bias=False, dtype=dtype) for _ in range(3)]
    for layer, weight in zip(layers, (small, small, large), strict=True):
        nn.init.constant_(layer.weight, weight)
    model = nn.Sequential(*layers[:2], nn.ReLU(), layers[2]).eval()
    prop = Property(torch.ones(1, 1, 1, dtype=dtype), torch.ones(1, 1, dtype=dtype))
    x, around = torch.zeros(1, 1, dtype=dtype), f"linf(eps={eps!r}, bounds=None)"
    proof = certify(spec, model, x, spec=around, prop=prop, claim="real")
    # at x + eps
    weights = [Fraction(float(layer.weight.detach())) for layer in layers]
    value = 1 + weights[0] * weights[1] * weights[2] * Fraction(float(torch.tensor(eps, dtype=dtype)))
    assert Fraction(float(proof.lower)) - Fraction(float(proof.error)) <= value < 0
    assert not bool(proof.certified.any())


@pytest.mark.parametrize("spec", ["l2(eps=0.0, bounds=None)", "linf(eps=0.0, bounds=None)"])
def test_products_with_the_input_that_underflow_prove_nothing(spec):
    """4096 products of a row with x are flushed to 0 by some machines."""
    least = torch.finfo(torch.float32).smallest_normal
    model, x = nn.Linear(4096, 1, bias=False).eval(), torch.full((1, 4096), 1.98 * least)
    nn.init.constant_(model.weight, 512)
    prop = Property(torch.full((1, 1, 1), -1 / 1024), torch.full((1, 1), 200 * least))
    with flushing():
        proof = certify("interval()", model, x, spec=spec, prop=prop, claim="real")
        bound = proof.lower - proof.error
    value = Fraction(200 * least) - 4096 * Fraction(float(x[0, 0])) / 2
    assert Fraction(float(bound)) <= value < 0
    assert not bool(proof.certified.any())
