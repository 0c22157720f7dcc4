"""Answers on the levels of stored images: they are levels, members, and misclassified after a round trip through 8 bits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import Attack, InputError, SpecError, ThreatModel, make
from inradius_combinators.grid import Grid

SETS = [
    "linf(eps=8/255)",
    "linf(eps=0.1)",
    "linf(eps=0.001)",
    "l2(eps=0.7)",
    "l1(eps=3)",
    "l0(k=3)",
    "patch(size=2)",
    "union(linf(eps=0.03), l2(eps=0.5))",
    "wasserstein(eps=0.05, bounds=(0, 1))",
    "linf(eps=0.2, bounds=(-1, 3))",
]


def images(count=8, bits=8, seed=0, bounds=(0.0, 1.0)):
    torch.manual_seed(seed)
    low, high = bounds
    levels = torch.randint(0, 2**bits, (count, 1, 5, 5))
    return low + levels / (2**bits - 1) * (high - low)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(25, 16), nn.ReLU(), nn.Linear(16, 3)).eval()


@pytest.mark.parametrize(
    ("attack", "spec"),
    [("pgd(steps=5)", spec) for spec in SETS] + [(attack, SETS[0]) for attack in ("apgd(steps=5)", "fgsm()")],
)
def test_answers_are_levels_and_members(spec, attack):
    threat, model = make(spec, ThreatModel), network()
    bounds = (-1.0, 3.0) if "(-1, 3)" in spec else (0.0, 1.0)
    x = images(bounds=bounds)
    y = model(x).argmax(1)
    found = inradius.attack(model, x, y, threat, f"on_grid({attack})")
    assert bool(found.inside.all())
    level = ((x + found.delta).double() - bounds[0]) / (bounds[1] - bounds[0]) * 255
    assert float((level - level.round()).abs().max()) < 1e-3
    # what a file of 8 bits gives back is misclassified as well
    stored = bounds[0] + level.round().to(torch.uint8).float() / 255 * (bounds[1] - bounds[0])
    assert bool((model(stored).argmax(1) != y)[found.success].all())


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), bits=st.integers(1, 8), spec=st.sampled_from(SETS[:6]))
def test_roundings_stay_in_the_set(seed, bits, spec):
    threat, x = make(spec, ThreatModel), images(4, bits, seed)
    grid = Grid.of(threat.bounds, x, bits)
    grid.check(x)
    delta = threat.sample(x)
    for rounded in (grid.inside(delta, x, threat), grid.towards(delta, x)):
        assert bool(threat.contains(rounded, x).all())
        grid.check(x + rounded)
    # towards x no coordinate grows
    assert bool((grid.towards(delta, x).abs() <= delta.abs() + 1e-5).all())
    assert bool(((grid.nearest(delta, x) - delta).abs() <= 0.5 / (2**bits - 1) + 1e-6).all())
    assert not grid.nearest(torch.zeros_like(x), x).any()


def test_more_are_broken_than_by_rounding_the_answer():
    model, data = inradius.load_model("mnist_small_standard"), make("mnist5k").take(40)
    x, y, threat = data.inputs, data.labels, make("l2(eps=1.2)", ThreatModel)
    plain = inradius.attack(model, x, y, threat, "pgd(steps=15)")
    rounded = ((x + plain.delta) * 255).round() / 255 - x
    kept = threat.contains(rounded, x) & (model(x + rounded).argmax(1) != y)
    found = inradius.attack(model, x, y, threat, "on_grid(pgd(steps=15))")
    assert int(found.success.sum()) > 1.5 * int(kept.sum())
    assert int(found.success.sum()) >= int(plain.success.sum()) - 2


def test_the_smallest_perturbation_may_be_a_little_longer():
    model, data = inradius.load_model("mnist_small_standard"), make("mnist5k").take(20)
    x, y = data.inputs, data.labels
    plain = inradius.attack(model, x, y, "l2(eps=2)", "ddn(steps=30)")
    found = inradius.attack(model, x, y, "l2(eps=2)", "on_grid(ddn(steps=30))")
    both = plain.success & found.success
    assert int(both.sum()) >= int(plain.success.sum()) - 2
    assert float((found.gauge / plain.gauge)[both].max()) < 1.25


def test_a_grid_beside_the_call():
    model, x = network(), images()
    y = model(x).argmax(1)
    one = inradius.attack(model, x, y, "linf(eps=0.1)", "pgd(steps=5)", grid=8)
    assert torch.equal(one.delta, inradius.attack(model, x, y, "linf(eps=0.1)", "on_grid(pgd(steps=5), bits=8)").delta)


def test_what_has_no_levels_is_refused():
    model, x = network(), images()
    y = model(x).argmax(1)
    with pytest.raises(InputError, match="input 2 has values between the 256 levels"):
        inradius.attack(model, torch.cat([x[:2], x[2:] * 0.999]), y, "linf(eps=0.1)", "on_grid(pgd())")
    with pytest.raises(InputError, match="needs the box"):
        inradius.attack(model, x, y, "linf(eps=0.1, bounds=None)", "on_grid(pgd())")
    for wrong in (
        "on_grid(pgd(), bits=0)",
        "on_grid(pgd(), bits=17)",
        "on_grid(pgd(), bits=True)",
        "on_grid(pgd(), 2.5)",
    ):
        with pytest.raises(SpecError, match="bits="):
            make(wrong, Attack)


@pytest.mark.parametrize(("bits", "kind"), [(16, torch.float32), (12, torch.float32), (8, torch.float16)])
def test_levels_that_the_type_rounds_are_levels(bits, kind):
    most = 2**bits - 1
    x = (torch.arange(0, most + 1, max(1, most // 1000)).double() / most).to(kind)[:, None]
    grid = Grid.of((0.0, 1.0), x, bits)
    grid.check(x)
    assert torch.equal(grid.level(x).flatten(), torch.arange(0, most + 1, max(1, most // 1000)).double())
    with pytest.raises(InputError, match="between the"):
        Grid.of((0.0, 1.0), x, 8).check(torch.full((1, 1), 0.5 / 255, dtype=torch.float64))
