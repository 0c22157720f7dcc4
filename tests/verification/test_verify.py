"""Answers about small networks are right: no witness that is none, no proof where a grid of points says otherwise."""

from contextlib import contextmanager
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from exact_fractions import laws
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from toy_sets import Cube
from verify_cases import grid, network

import inradius
from inradius import InputError, Property, UnsupportedError
from inradius.sets.region import BoxRegion
from inradius.verification import descent

SEEDS = st.integers(0, 10**6)


def level(model, threat, x, weights, share):
    """The property that weights · f is above a number: the least of a grid, moved by a share of the spread."""
    low, high = (x.double() + side for side in threat.hull(x.double()))
    values = (model.double()(grid(low[0], high[0])) @ weights).detach()
    model.float()
    least, spread = float(values.min()), float(values.max() - values.min()) + 1e-3
    return Property(weights[None], torch.tensor([-(least + share * spread)], dtype=torch.float64)), values


@laws(20)
@given(seed=SEEDS, share=st.sampled_from([-1.0, -0.1, 0.0, 0.1, 0.5]), box=st.booleans())
def test_no_answer_is_wrong(seed, share, box):
    rng = np.random.default_rng(seed)
    model, x = network(seed), torch.from_numpy(rng.normal(size=(1, 2))).float()
    threat = BoxRegion(-torch.rand(1, 2), torch.rand(1, 2)) if box else Cube(eps=0.3)
    weights = torch.from_numpy(rng.integers(-2, 3, 2) + 0.5).float().double()
    prop, _ = level(model, threat, x, weights, share)
    result = inradius.verify(model, x, threat, prop, timeout=0.5, certifier="crown")
    assert (result.status == "sat") == (result.witness is not None) == (result.outputs is not None)
    if result.status == "sat":
        assert share > -0.05
        numbers = [Fraction(v) for v in model(result.witness)[0].tolist()]
        value = sum(Fraction(w) * v for w, v in zip(weights.tolist(), numbers, strict=True))
        assert value + Fraction(prop.offsets.item()) <= 0
        delta = result.witness.double() - x.double()
        assert bool(threat.contains(delta, x.double(), tol=0))
    else:
        assert share < 0.4
    if result.status == "unsat":
        assert share <= 0
        assert result.bound > 0
        assert result.claim == "float"


@laws(8)
@given(seed=SEEDS, clauses=st.booleans())
def test_properties_of_several_rows(seed, clauses):
    rng = np.random.default_rng(seed)
    model, x = network(seed, outputs=3), torch.zeros(1, 2)
    weights = torch.from_numpy(rng.integers(-2, 3, (3, 3))).double()
    offsets = torch.from_numpy(rng.normal(size=3))
    which = torch.tensor([[True, True, False], [False, True, True]]) if clauses else None
    prop = Property(weights, offsets, which)
    result = inradius.verify(model, x, Cube(eps=0.5), prop, timeout=0.5, certifier="crown")
    outputs = model.double()(grid((-0.5, -0.5), (0.5, 0.5)))
    held = prop.weakest(prop.values(outputs.detach())) > 0
    if result.status == "unsat":
        assert bool(held.all())
    if bool((prop.weakest(prop.values(outputs.detach())) < -0.5).any()):
        assert result.status == "sat"


def test_a_tie_violates_the_property_and_the_next_number_does_not():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1)
    x, threat = torch.zeros(1, 1), BoxRegion(-torch.ones(1, 1), torch.ones(1, 1))
    tie = inradius.verify(model, x, threat, Property(torch.ones(1, 1), torch.ones(1)), timeout=5)
    assert (tie.status, tie.witness.tolist()) == ("sat", [[-1.0]])
    above = torch.nextafter(torch.ones(1, dtype=torch.float64), torch.full((1,), 2.0, dtype=torch.float64))
    beyond = inradius.verify(model, x, threat, Property(torch.ones(1, 1).double(), above), timeout=0.5)
    assert beyond.status != "sat"


def test_a_certifier_with_a_limit_gets_the_time_that_is_left():
    result = inradius.verify(
        network(), torch.zeros(1, 2), "linf(eps=0.01)", Property(torch.eye(2)[:1], torch.full((1,), 50.0))
    )
    assert result.status == "unsat"
    assert result.seconds < 60


def test_no_time_is_a_timeout():
    model, x = network(), torch.zeros(1, 2)
    prop, _ = level(model, Cube(eps=0.3), x, torch.tensor([1.0, 0.0]).double(), -0.001)
    assert inradius.verify(model, x, Cube(eps=0.3), prop, timeout=1e-6, certifier="interval").status == "timeout"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x": torch.zeros(2, 2)}, "one input"),
        ({"x": torch.zeros(2)}, "one input"),
        ({"x": 3}, "allowed is a tensor"),
        ({"x": torch.zeros(1, 5)}, "cannot take"),
        ({"x": torch.full((1, 2), torch.nan)}, "NaN"),
        ({"timeout": 0}, "positive number of seconds"),
        ({"timeout": "60"}, "positive number of seconds"),
        ({"claim": "solver"}, "'float' and 'real'"),
        ({"certifier": 5}, "Certifier"),
        ({"threat": 0.1}, "the threat"),
        ({"model": torch.relu}, "allowed is a torch.nn.Module"),
        ({"prop": torch.ones(2)}, "property"),
        ({"prop": Property(torch.ones(1, 5), torch.ones(1))}, "5 outputs"),
        ({"prop": Property(torch.ones(3, 1, 2), torch.ones(3, 1))}, "3 inputs"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(changes, told):
    asked = {
        "model": network(),
        "x": torch.zeros(1, 2),
        "threat": Cube(eps=0.1),
        "prop": Property(torch.eye(2), torch.ones(2)),
    }
    with pytest.raises(InputError, match=told):
        inradius.verify(**asked | changes)


@pytest.mark.parametrize("certifier", ["interval", "crown", "alpha", "branch_and_bound", "certifier_cascade"])
def test_the_bound_is_not_above_the_minimum_by_rounding(certifier):
    for seed in (0, 1, 2, 5):
        torch.manual_seed(seed)
        model, x = torch.nn.Linear(3, 2).eval().requires_grad_(False), torch.rand(1, 3)
        threat = inradius.make("linf(eps=0.1, bounds=None)")
        # the exact minimum of an affine function over a box
        least = Fraction(model.bias[0].item()) - Fraction(model.bias[1].item())
        for a, b, center in zip(*model.weight.tolist(), x[0].tolist(), strict=True):
            slope = Fraction(a) - Fraction(b)
            least += slope * Fraction(center) - abs(slope) * Fraction(threat.eps)
        prop = Property(torch.tensor([[1.0, -1.0]]), torch.tensor([0.5 - float(least)]))
        found = inradius.verify(model, x, threat, prop, timeout=5, claim="real", certifier=certifier)
        assert found.status == "unsat"
        assert 0.4 < Fraction(found.bound) <= least + Fraction(prop.offsets.item())


class Flat(torch.nn.Module):
    """Outputs without a gradient: constants, numbers behind a step, or a parameter alone."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.weight = kind, torch.nn.Parameter(torch.tensor([1.0, 2.0]))

    def forward(self, x):
        kinds = {"constant": torch.ones_like(x), "step": x.round().int().float(), "parameter": self.weight.expand_as(x)}
        return kinds[self.kind]


@pytest.mark.parametrize("kind", ["constant", "step", "parameter"])
@pytest.mark.parametrize("certifier", ["branch_and_bound", "certifier_cascade", "crown"])
def test_outputs_without_a_gradient_are_searched_too(kind, certifier):
    model, x, threat = Flat(kind).eval(), torch.zeros(1, 2), inradius.make("linf(eps=0.4, bounds=None)")
    sure = Property(torch.ones(1, 2), torch.tensor([-9.0]))
    assert inradius.verify(model, x, threat, sure, timeout=5, certifier=certifier).status == "sat"
    # a proof needs operators that lead from the input to the output, and a search does not
    with pytest.raises(UnsupportedError):
        inradius.verify(
            model, x, threat, Property(torch.ones(1, 2), torch.tensor([9.0])), timeout=1, certifier=certifier
        )


def test_a_witness_lies_in_the_set_exactly_where_its_distance_is_rounded():
    model = torch.nn.Linear(3, 1).double().eval().requires_grad_(False)
    for seed in range(8):
        torch.manual_seed(seed)
        x, eps = torch.rand(1, 3, dtype=torch.float64), 3.0 * 10**seed
        # the corner alone violates the property, or nearly
        least = model(x) - eps * model.weight.abs().sum()
        prop = Property(torch.ones(1, 1, dtype=torch.float64), -(least + 1e-5 * least.abs())[0])
        found = inradius.verify(model, x, inradius.make(f"linf(eps={eps}, bounds=None)"), prop, timeout=5)
        assert found.status == "sat"
        for a, b in zip(found.witness[0].tolist(), x[0].tolist(), strict=True):
            assert abs(Fraction(a) - Fraction(b)) <= Fraction(eps)


@pytest.mark.parametrize(("share", "rounds"), [(-1.0, [0]), (-0.01, [0, 1])])
def test_the_longer_search_is_for_what_bounds_alone_do_not_prove(monkeypatch, share, rounds):
    searched, round_of = [], descent._round

    def counted(question, clock, number, seed):
        searched.append(number)
        return round_of(question, clock, number, seed)

    monkeypatch.setattr(descent, "_round", counted)
    model, x, threat = network(3), torch.zeros(1, 2), Cube(eps=0.3)
    prop, _ = level(model, threat, x, torch.tensor([1.0, -0.5], dtype=torch.float64), share)
    assert inradius.verify(model, x, threat, prop).status == "unsat"
    assert searched == rounds


@contextmanager
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "block",
    [torch.inference_mode, torch.enable_grad, float64_by_default, partial(torch.autocast, "cpu", torch.bfloat16)],
    ids=["inference", "grad", "float64", "autocast"],
)
def test_settings_of_torch_around_the_call_change_no_answer(block):
    torch.manual_seed(0)
    layers = [nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2)]
    model, x = nn.Sequential(*layers).eval(), torch.rand(1, 10)
    rows = torch.tensor([[[1.0, -1.0]]])
    # below the least difference by what a search proves; above it
    for offset, status in ((0.3, "unsat"), (0.1, "sat")):
        with block():
            prop = Property(rows.clone(), torch.tensor([[offset]], dtype=torch.float32))
            assert inradius.verify(model, x, "linf(eps=0.5)", prop, timeout=60).status == status
