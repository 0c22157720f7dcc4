"""Networks at which rounding is as large as the bound: many uses of a value, terms that cancel, numbers near underflow."""

from fractions import Fraction
from itertools import product

import pytest
import torch
from exact_fractions import flushing
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel

LEAST = 2.0**-126
SPECS = ("interval()", "dual()", "crown()", "alpha(steps=2)")


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def certify(spec, function, x, offset, threat, claim, row=1.0):
    model = function.eval() if isinstance(function, nn.Module) else Function(function).eval()
    prop = Property(torch.full((1, 1), row, dtype=x.dtype), torch.tensor([offset], dtype=x.dtype))
    return inradius.make(spec, Certifier)(model, x, None, inradius.make(threat, ThreatModel), prop=prop, claim=claim)


def proves_no_more(proof, least):
    """Passes if the bound less its error is no higher than an attained value, which is below 0."""
    assert least < 0
    low = float(proof.lower) - float(proof.error)
    assert not low > float(least), (low, float(least), proof.claim)
    assert not bool(proof.certified.any())


def in_order(parts):
    return torch.cat(parts, 1).sum(1, keepdim=True)


def as_tree(parts):
    while len(parts) > 1:
        parts = [parts[k] + parts[k + 1] if k + 1 < len(parts) else parts[k] for k in range(0, len(parts), 2)]
    return parts[0]


@pytest.mark.parametrize(
    ("spec", "ways"), in_turn(SPECS, list(product(["real", "float"], ["input", "relu"], [in_order, as_tree])))
)
def test_rows_of_many_uses_are_added_up(spec, ways):
    """1 + 2⁻²⁴ + ... − 1: the rows of the uses lose the small ones where they are added up one after another."""
    claim, behind, added = ways
    weights = [1.0, *[2.0**-24] * 64, -1.0]

    def model(x):
        z = x.relu() if behind == "relu" else x
        return added([z * weight for weight in weights])

    center, sign = (2.0, -1.0) if behind == "relu" else (0.0, 1.0)
    least = -sum(map(Fraction, weights)) * (3 if behind == "relu" else 1)
    offset = float(torch.tensor(-float(least) * 0.9))
    proof = certify(spec, model, torch.full((1, 1), center), offset, "linf(eps=1.0, bounds=None)", claim, row=sign)
    proves_no_more(proof, least + Fraction(offset))


@pytest.mark.parametrize(
    ("spec", "threat"),
    in_turn(SPECS, ["linf(eps=1.0, bounds=None)", "l2(eps=1.0, bounds=None)", "l1(eps=1.0, bounds=None)"]),
)
def test_uses_of_the_input_are_added_up_in_float64(spec, threat):
    count = 254

    def model(x):
        return as_tree([x * weight for weight in [1.0, *[2.0**-53] * count, -1.0]]).relu() * -(2.0**53)

    x = torch.zeros(1, 1, dtype=torch.float64)
    proves_no_more(certify(spec, model, x, 0.9 * count, threat, "real"), -0.1 * count)


@pytest.mark.parametrize("claim", ["real", "float"])
@pytest.mark.parametrize("spec", ["crown()", "dual()", "alpha(steps=2, layers='all')"])
def test_references_are_rounded_where_sizes_underflow(spec, claim):
    """Products below float32's numbers, added up in float64, scaled by 2¹²⁷ and by 2⁸⁵ behind a ReLU."""
    pair, many, less = 64, 40000, 8000
    weight = [2.0**-100] * pair + [2.0**-120] * many + [-(2.0**-100)] * pair + [-(2.0**-110)]
    x = [2.0**-57] * pair + [2.0**-90] * many + [2.0**-57] * pair + [less * 2.0**-100]
    layer = nn.Linear(len(weight), 1, bias=False)
    layer.weight.data = torch.tensor([weight])

    def model(x):
        z = torch.nn.functional.linear(x.relu(), layer.weight)
        # the second use keeps the scaling out of the weights
        return (z * 2.0**127).relu() * -(2.0**85) - (z * 2.0**100 - 1.0).relu()

    exact = sum(Fraction(w) * Fraction(v) for w, v in zip(weight, x, strict=True))
    least = -max(exact, 0) * Fraction(2) ** 212
    proof = certify(spec, model, torch.tensor([x]), 1.0, "linf(eps=0.0, bounds=None)", claim)
    proves_no_more(proof, least + 1)


@pytest.mark.parametrize("claim", ["real", "float"])
@pytest.mark.parametrize("spec", [*SPECS, "certifier_cascade()"])
def test_halves_of_boxes_do_not_vanish(spec, claim):
    """The box of the ReLU ends at the smallest subnormal number, whose half is 0."""
    small, row = 2.0**-149, -float(torch.tensor(3e38))
    x, eps = torch.full((1, 1), -(LEAST + 2 * small)), LEAST + 3 * small
    least = Fraction(row) * Fraction(small)
    offset = float(torch.tensor(-float(least) / 2))
    proof = certify(spec, torch.relu, x, offset, f"linf(eps={eps!r}, bounds=None)", claim, row=row)
    proves_no_more(proof, least + Fraction(offset))


@pytest.mark.parametrize("factor", [0.98, 0.99, 0.995])
@pytest.mark.parametrize("spec", ["interval()", "crown()"])
def test_a_difference_of_multiples_of_one_value_is_not_certified_as_float(spec, factor):
    """x − αx is computed from αx as it is rounded, which may be more than the whole difference."""
    for seed in range(6):
        x = torch.rand(1, 1, generator=torch.Generator().manual_seed(seed)) + 1
        proof = certify(spec, lambda z: torch.sub(z, z, alpha=factor), x, 0.0, "linf(eps=0.0, bounds=None)", "float")
        assert proof.claim == ("real",)


@pytest.mark.parametrize("spec", ["interval()", "crown()"])
@pytest.mark.parametrize(("weight", "x"), [(1e-39, 1e30), (1e38, 1e-39)])
def test_operands_that_a_machine_takes_for_0_are_paid_at_level_float(spec, weight, x):
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, weight)
    x = torch.full((1, 1), x)
    value = float(layer(x).detach())
    with flushing():
        assert float(layer(x).detach()) == 0
    proof = certify(spec, layer, x, -value / 2, "linf(eps=0.0, bounds=None)", "float")
    assert not bool(proof.certified.all()) or proof.claim == ("real",)


SMALL_INPUTS = {
    "scaled": lambda x: x * 1e38 - 0.05,
    "in front of a relu": lambda x: 0.01 - (0.05 - x * 1e38).relu(),
    "in front of two": lambda x: 0.01 - (0.05 - (x * 1e38).relu()).relu(),
    "behind a relu": lambda x: x.relu() * 1e38 - 0.05,
}


@pytest.mark.parametrize(
    "threat", ["linf(eps=0.0, bounds=None)", "linf(eps=1e-45, bounds=None)", "l2(eps=0.0, bounds=None)"]
)
@pytest.mark.parametrize("spec", [*SPECS, "crown(intersect=False)"])
@pytest.mark.parametrize("kind", SMALL_INPUTS)
def test_inputs_that_a_machine_takes_for_0_are_paid_at_level_float(kind, spec, threat):
    """Also in bounds of float64, and in the boxes of affine functions of the input."""
    model, x = SMALL_INPUTS[kind], torch.full((1, 1), 1e-39)
    assert float(model(x)) > 0
    with flushing():
        assert float(model(x)) < 0
    proof = certify(spec, model, x, 0.0, threat, "float")
    assert not bool(proof.certified.all()) or proof.claim == ("real",)


@pytest.mark.parametrize("spec", [*SPECS, "crown(intersect=False)"])
def test_certificates_made_on_a_machine_that_flushes(spec):
    large, most = float(torch.tensor(3e38)), float(torch.tensor(0.6))
    cases = [
        (lambda x: x.relu() * -large, 0.0, 1.1e-38, 3.0, lambda x, eps: -large * eps),
        (lambda x: torch.nn.functional.leaky_relu(x, 0.125) * -large, 0.0, 1.17e-38, 3.0, lambda x, eps: -large * eps),
        (lambda x: x * large + x.relu() * -large, 1.2e-38, 1.6e-38, most, lambda x, eps: large * (x - eps)),
    ]
    for model, x, eps, offset, least in cases:
        with flushing():
            x = torch.full((1, 1), x)
            proof = certify(spec, model, x, offset, f"linf(eps={eps!r}, bounds=None)", "real")
        proves_no_more(proof, least(float(x), eps) + offset)


def test_certificates_leave_the_mode_of_subnormal_numbers_as_it_was():
    def small():
        return float(torch.full((), 1e-40) * 1.0) != 0

    def model(x):
        seen.append(small())
        return x * 2.0

    seen: list[bool] = []
    with flushing():
        certify("crown()", model, torch.ones(1, 1), 0.0, "linf(eps=0.1, bounds=None)", "real")
        assert not small()
    assert small()
    assert all(seen)


def test_a_program_with_numbers_that_highs_does_not_take_is_left_out():
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, 1e20)
    model = nn.Sequential(layer, nn.ReLU(), nn.Linear(2, 1)).eval()
    with pytest.warns(RuntimeWarning, match="beyond 1e"):
        proof = certify("lp()", model, torch.ones(1, 2), 0.0, "linf(eps=0.5, bounds=None)", "real")
    assert not bool(proof.lower.isnan().any())


class Held(nn.Module):
    """A module whose weights are in a list, where ``parameters`` does not find them."""

    def __init__(self):
        super().__init__()
        self.parts = [torch.ones(3, 4)]

    def forward(self, z):
        return z @ self.parts[0].t()


class HeldRule(inradius.LayerRule):
    affine = True

    def interval(self, op, lower, upper):
        return op(lower), op(upper)


def test_a_module_that_fails_in_float64_is_named(monkeypatch):
    from inradius_bounds.capture import trace

    known = trace.layer_rules()
    monkeypatch.setattr(trace, "layer_rules", lambda: {**known, Held: HeldRule()})
    model = nn.Sequential(Held(), nn.ReLU(), nn.Linear(3, 1)).eval()
    with pytest.raises(inradius.UnsupportedError, match=r"of model\.0 fails in float64"):
        certify("crown()", model, torch.ones(1, 4), 0.0, "linf(eps=0.1, bounds=None)", "real")


def norm(channels, variance, weight=1.0, eps=1e-5, images=True):
    layer = (nn.BatchNorm2d if images else nn.BatchNorm1d)(channels, eps=eps)
    nn.init.constant_(layer.running_var, variance)
    nn.init.constant_(layer.weight, weight)
    return layer.eval()


def never_float(function, x, threat, offset, specs=("interval()", "crown()")):
    """Passes if no certificate of level float is made. A refusal passes as well."""
    for spec in specs:
        try:
            proof = certify(spec, function, x, offset, threat, "float")
        except inradius.InradiusError:
            continue
        assert not bool(proof.certified.all()) or proof.claim == ("real",), (spec, proof)


def test_overflow_between_a_convolution_and_its_scaling_is_not_certified_as_float():
    """The sum overflows in float16 where all inputs are large; batch norm makes it small again in exact arithmetic."""
    conv = nn.Conv2d(32, 1, 3, bias=False)
    nn.init.constant_(conv.weight, 3.0)
    model = nn.Sequential(conv, norm(1, 1e4), nn.Flatten(), nn.Linear(1, 1)).half().eval()
    x = torch.zeros(1, 32, 3, 3, dtype=torch.float16)
    assert not bool(model(x + 100).isfinite().all())
    never_float(model, x, "linf(eps=100.0, bounds=None)", 3000.0)


def test_underflow_between_a_product_and_its_scaling_is_paid_with_the_gain():
    layer = nn.Linear(1, 1, bias=False).half()
    nn.init.constant_(layer.weight, 1.7e-4)
    x = torch.full((1, 1), 1.7e-4, dtype=torch.float16)
    model = nn.Sequential(layer, Function(lambda z: z * 6e4)).eval()
    assert float(model(x).detach()) == 0
    never_float(model, x, "linf(eps=0.0, bounds=None)", -8.7e-4)


@pytest.mark.parametrize("kind", ["mean", "pool", "adaptive"])
def test_sums_of_means_may_overflow(kind):
    model = {
        "mean": lambda x: x.mean(1, keepdim=True),
        "pool": lambda x: torch.nn.functional.avg_pool2d(x.view(-1, 1, 32, 32), 32).flatten(1),
        "adaptive": lambda x: torch.nn.functional.adaptive_avg_pool2d(x.view(-1, 1, 32, 32), 1).flatten(1),
    }[kind]
    never_float(model, torch.zeros(1, 1024), "linf(eps=5e35, bounds=None)", 1e36)


@pytest.mark.parametrize("spec", [*SPECS, "certifier_cascade()"])
def test_weights_that_are_computed_among_subnormal_numbers(spec):
    """A factor of 1e-20 makes a weight of 2e-25 a multiple of the smallest number."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2e-25)
    scaled = norm(1, 1.0, 1e-20, 0.0, images=False)
    model = nn.Sequential(nn.ReLU(), layer, scaled, nn.ReLU(), Function(lambda z: z * -1e10))
    factor = Fraction(float(scaled.weight.detach())) * Fraction(float(layer.weight.detach()))
    reach = Fraction(float(torch.tensor(1e10))) * factor * Fraction(float(torch.tensor(1e37)))
    offset = float(torch.tensor(float(reach) * 0.5))
    proof = certify(spec, model, torch.zeros(1, 1), offset, "linf(eps=1e37, bounds=None)", "real")
    proves_no_more(proof, Fraction(offset) - reach)


@pytest.mark.parametrize("curve", [lambda x: x.relu() * 1e38, lambda x: x.relu().sqrt() * 1e19, lambda x: -x.rsqrt()])
def test_curves_of_inputs_that_a_machine_takes_for_0(curve):
    x = torch.full((1, 1), 1.1e-38)
    value = float(curve(x))
    never_float(curve, x, "linf(eps=0.0, bounds=None)", -value / 2 if value > 0 else -value * 1.5, SPECS)


def test_constants_that_a_machine_takes_for_0_have_no_reciprocal():
    x = torch.ones(1, 1)
    never_float(lambda z: -(z * 1e-3 / torch.tensor(3e-39)), x, "linf(eps=0.0, bounds=None)", 1e36)
    tiny = norm(1, 0.0, 1.1e-38, 1e-10, images=False)
    never_float(nn.Sequential(tiny, Function(lambda z: z * 1e36)), x, "linf(eps=0.0, bounds=None)", -500.0)


def test_softplus_overflows_where_its_threshold_is_large():
    never_float(nn.Softplus(threshold=1000), torch.full((1, 1), 128.0), "linf(eps=0.5, bounds=None)", -64.0)


def test_a_cascade_goes_on_where_an_error_is_as_large_as_the_bound():
    """Interval bounds of a half-precision network may be above 0 by less than their error."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 3)).half().eval()
    x = torch.rand(16, 20).half()
    y, threat = model(x).argmax(1), inradius.make("linf(eps=0.002)", ThreatModel)
    proofs = [inradius.make(spec, Certifier)(model, x, y, threat) for spec in ("crown()", "certifier_cascade()")]
    alone, cascade = (
        sum(c and level == "float" for c, level in zip(p.certified, p.claim, strict=True)) for p in proofs
    )
    assert cascade >= alone
