"""What is certified at level "float" holds in every execution, and what is true of real numbers alone is not certified so."""

import contextlib
import copy
import random
from fractions import Fraction

import attrs
import float_drill
import pytest
import torch
from exact_arithmetic import drawn
from float_drill import (
    ASKED,
    COUNT,
    HAS_LEVELS,
    PART,
    Ordered,
    demand,
    drill,
    fused,
    matched,
    pulls,
    stepped,
    values,
    variants,
)
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel, UnsupportedError


def test_no_execution_loses_what_is_certified_of_a_few_networks():
    demand(drill(range(5)))


def test_a_level_that_holds_in_real_arithmetic_alone_is_found_out(monkeypatch):
    """What is proved of real numbers, called float: executions lose it."""
    asked = float_drill.certify

    def renamed(*arguments):
        proof = asked(*arguments)
        return attrs.evolve(proof, claim=("float",) * len(proof.claim))

    monkeypatch.setattr(float_drill, "ASKED", {})
    monkeypatch.setattr(float_drill, "certify", renamed)
    table = drill(range(5))
    assert not table.all("errors"), str(table)
    assert len(table.given("float")) >= 4
    assert len(table.broken("float")) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("part", range(COUNT // PART))
def test_no_execution_loses_what_is_certified(part):
    demand(drill(range(1000 + part * PART, 1000 + (part + 1) * PART)))


# our loops


@pytest.mark.parametrize("bits", [16, 32])
def test_fused_products_are_rounded_once(bits):
    """Against fractions, also where two roundings would differ from one."""
    dtype = {16: torch.float16, 32: torch.float32}[bits]
    generator = torch.Generator().manual_seed(0)
    w, z, c = (torch.randn(4000, generator=generator).to(dtype) for _ in range(3))
    c = torch.cat([c[:1000], (-w * z)[1000:3000] * (1 + 2.0**-8 * c[1000:3000]), c[3000:] * 2.0**-12])
    found = fused(w, z, c)
    for a, b, d, value in zip(*(v.double().tolist() for v in (w, z, c, found)), strict=True):
        exact = Fraction(a) * Fraction(b) + Fraction(d)
        here = torch.tensor([value], dtype=torch.float64)
        up, down = (float(stepped(here.to(dtype), torch.tensor([side]), 1)) for side in (1, -1))
        gap = abs(Fraction(value) - exact)
        assert value == 0 or all(gap <= abs(Fraction(other) - exact) for other in (up, down))


@pytest.mark.parametrize("seed", range(0, 40, 5))
def test_every_order_computes_the_network(seed):
    found = drawn(seed)
    with torch.no_grad():
        wide, plain = found.wide(found.x.double()), found.model(found.x).double()
    ways = matched(found.model, found.wide, pulls(found.wide, found.x, torch.ones(3)))
    far = (wide - plain).abs().max() + 1e-3 * (1 + wide.abs().max()) * (100 if found.bits == 16 else 1)
    for variant in variants(found.draw):
        outputs = Ordered(found.model, variant, ways)(found.x)
        assert bool(((outputs.double() - wide).abs() <= far).all()), variant


# planted networks


def planted(weights, dtype, *, hidden=False, image=False):
    """A sum of equal numbers with these weights, maybe behind layers that change nothing."""
    count = len(weights)
    last = nn.Linear(count, 1, bias=False)
    last.weight = nn.Parameter(torch.tensor([weights], dtype=torch.float64))
    layers = [nn.Flatten(), last]
    if image:
        layer = nn.Conv2d(count, 1, 1, bias=False)
        layer.weight = nn.Parameter(torch.tensor(weights, dtype=torch.float64).view(1, count, 1, 1))
        layers = [layer, nn.Flatten()]
    layers += [nn.ReLU(), nn.Linear(1, 1)] if hidden else []
    if hidden:
        layers[-1].weight, layers[-1].bias = nn.Parameter(torch.ones(1, 1)), nn.Parameter(torch.zeros(1))
    model = nn.Sequential(*layers).to(dtype).eval()
    return model, torch.ones(1, count, *((1, 1) if image else ()), dtype=dtype)


DIGITS = {torch.float16: 11, torch.float32: 24, torch.float64: 53}


def executed(model, x, offset):
    """The values of the one row in all executions by loops."""
    wide = copy.deepcopy(model).double()
    ways = matched(model, wide, pulls(wide, x, torch.ones(1)))
    outputs = [Ordered(model, v, ways)(x) for seed in range(2) for v in variants(random.Random(seed))]
    return [values(output, torch.ones(1), offset)[0] for output in outputs]


def only_real(model, x, offset, spec):
    """That the property is lost in some execution and kept in others, and is not certified as float; whether it is as real."""
    found = executed(model, x, offset)
    assert any(value > 0 for value in found), found
    assert any(not value > 0 for value in found), found
    prop = Property(torch.ones(1, 1, dtype=torch.float64), torch.tensor([offset], dtype=torch.float64))
    proved = False
    for eps in (0.0, 1e-30):
        threat = inradius.make(f"linf(eps={eps!r}, bounds=None)", ThreatModel)
        # a network whose outputs differ from run to run may be refused
        with contextlib.suppress(UnsupportedError):
            proof = inradius.make(spec, Certifier)(model, x, None, threat, prop=prop, **ASKED)
            proved = bool(proof.certified)
            assert not (proved and proof.claim[0] == "float"), (proof.lower, proof.error, proof.claim)
    return proved


@pytest.mark.parametrize(
    ("spec", "dtype"), in_turn(["interval()", "dual()", "crown()", "alpha(steps=2)"], list(DIGITS)), ids=str
)
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("image", [False, True])
def test_a_sum_whose_sign_is_a_matter_of_order_is_never_certified_as_float(spec, dtype, hidden, image):
    """1 + 2^p − 2^p: 1 in real arithmetic, and 0 where the 1 is added to the large number first."""
    large = 2.0 ** (DIGITS[dtype] + 1)
    model, x = planted([1.0, large, -large], dtype, hidden=hidden, image=image)
    proved = only_real(model, x, -0.5, spec)
    # a proof about real numbers is possible, and what float64 can compute is proved
    assert proved or dtype == torch.float64


@pytest.mark.parametrize(("spec", "terms"), in_turn(["interval()", "dual()", "crown()"], [8, 64, 512]))
def test_many_small_terms_that_a_large_one_swallows(spec, terms):
    """Ones between a large number and its negative: none to all of them remain."""
    model, x = planted([2.0**25, *[1.0] * terms, -(2.0**25)], torch.float32)
    only_real(model, x, -terms / 2, spec)


@pytest.mark.parametrize("spec", ["interval()", "dual()", "crown()"])
def test_a_value_that_flushing_loses_is_never_certified_as_float(spec):
    """1e-40 is a subnormal number, 1e20 · 1e20 times it is 1 where it is not flushed."""
    layers = []
    for weight in (1e-20, 1e-20, 1e20, 1e20):
        layer = nn.Linear(1, 1, bias=False)
        layer.weight = nn.Parameter(torch.tensor([[weight]]))
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1]).eval()
    only_real(model, torch.ones(1, 1), -0.5, spec)


@pytest.mark.parametrize("spec", ["interval()", "dual()", "crown()"])
def test_a_sum_that_overflows_in_some_order_is_never_certified_as_float(spec):
    """3e38 + 3e38 is infinite; in turn with their negatives it is not."""
    model, x = planted([3e38, -3e38, 3e38, -3e38, 1.0], torch.float32)
    only_real(model, x, -0.5, spec)


@pytest.mark.skipif(not HAS_LEVELS, reason="certificates have no level float")
@pytest.mark.parametrize("spec", ["interval()", "dual()", "crown()", "alpha(steps=2)"])
def test_a_property_with_room_is_certified_as_float(spec):
    model, x = planted([1.0, 2.0, -1.0], torch.float32, hidden=True)
    prop = Property(torch.ones(1, 1), torch.tensor([-0.5]))
    threat = inradius.make("linf(eps=0.01, bounds=None)", ThreatModel)
    proof = inradius.make(spec, Certifier)(model, x, None, threat, prop=prop, **ASKED)
    assert bool(proof.certified)
    assert proof.claim == ("float",)


MAXIMA = {
    "max_pool": nn.MaxPool2d(2),
    "overlapping": nn.MaxPool2d(3, stride=1, padding=1),
    "adaptive": nn.AdaptiveMaxPool2d(2),
    "one_dimension": nn.Sequential(nn.Flatten(2), nn.MaxPool1d(2)),
    "three_dimensions": nn.MaxPool3d((1, 2, 2)),
}


@pytest.mark.parametrize("name", MAXIMA)
def test_maxima_over_windows_are_not_rounded(name):
    """The largest of some numbers is one of them, so a network with room is certified as float through it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), MAXIMA[name], nn.Flatten(), nn.ReLU()).eval()
    x = torch.rand(1, 1, 4, 4)
    outputs = model(x).shape[1]
    prop = Property(torch.ones(1, outputs), torch.tensor([1.0]))
    threat = inradius.make("linf(eps=0.01)", ThreatModel)
    for spec in ("interval()", "crown()"):
        proof = inradius.make(spec, Certifier)(model, x, None, threat, prop=prop)
        assert bool(proof.certified)
        assert proof.claim == ("float",)


@pytest.mark.parametrize("form", [lambda z: z.amax(1, keepdim=True), lambda z: z.max(1).values, lambda z: z.min(1)[0]])
def test_maxima_along_an_axis_are_not_rounded(form):
    class Net(nn.Module):
        def forward(self, z):
            return form(z).reshape(len(z), -1)

    x = torch.tensor([[1.0, 2.0, 3.0]])
    prop = Property(torch.ones(1, 1), torch.tensor([-0.5]))
    threat = inradius.make("linf(eps=0.25, bounds=None)", ThreatModel)
    proof = inradius.make("crown()", Certifier)(Net(), x, None, threat, prop=prop)
    assert bool(proof.certified)
    assert proof.claim == ("float",)
