"""Boxes of valid inputs with a side for each channel, feature or pixel: every law of a set holds, and every consumer takes them."""

import numpy as np
import pytest
import torch
from in_turn import in_turn

import inradius
from inradius import Attack, Certifier, InputError, SpecError, ThreatModel
from inradius.sets.box import room
from inradius.testing import check_threat_model

CHANNELS = "(-1.0, 0.0)", "(1.0, 0.5)"
SHAPE = (2, 2, 2)
SETS = [
    "linf(0.3, bounds={})",
    "l2(0.5, bounds={})",
    "l1(0.8, bounds={})",
    "l0(2, bounds={})",
    "box(lo=-0.2, hi=0.3, bounds={})",
    "patch(1, bounds={})",
    "affine('colour', 0.2, bounds={})",
    "union(linf(0.1, bounds={0}), l2(0.3, bounds={0}))",
]
BOTH = "intersection(linf(0.2, bounds={0}), l2(0.3, bounds=(-0.5, 2)))"


@pytest.fixture
def sides(tmp_path):
    """For either side of the box a list with one number for each channel, and a file with one for each pixel."""
    lower, width = np.random.default_rng(0).normal(size=(2, *SHAPE))
    lower, width = np.round(64 * lower) / 64, np.round(64 * width) / 64  # numbers of float32
    np.save(tmp_path / "low.npy", lower)
    np.save(tmp_path / "high.npy", lower + np.abs(width) + 0.1)
    files = f"('{tmp_path / 'low.npy'}', '{tmp_path / 'high.npy'}')"
    return {"list": f"({', '.join(CHANNELS)})", "files": files, "mixed": f"('{tmp_path / 'low.npy'}', (5, 6))"}


@pytest.mark.parametrize(("spec", "kind"), in_turn(SETS, ["list", "files", "mixed"]))
def test_every_law_holds(spec, kind, sides):
    check_threat_model(spec.format(sides[kind]), shape=SHAPE, examples=3)


def test_every_law_holds_of_an_intersection(sides):
    check_threat_model(BOTH.format(sides["list"]), shape=(2, 1, 2), examples=1, tolerance=1e-6)


@pytest.mark.parametrize(("spec", "kind"), in_turn(SETS[:5], ["list", "files"]))
def test_every_law_holds_in_single_precision(spec, kind, sides):
    check_threat_model(spec.format(sides[kind]), shape=SHAPE, examples=2, dtype=torch.float32)


@pytest.mark.parametrize("spec", [*SETS, BOTH])
def test_equal_sides_as_numbers_lists_and_files_are_one_set(spec, tmp_path):
    """The oracles of a box with the same two numbers everywhere do not depend on how the box is given."""
    np.save(tmp_path / "low.npy", np.full(SHAPE, -0.5))
    torch.manual_seed(0)
    x, v = 2 * torch.rand(3, *SHAPE, dtype=torch.float64) - 0.5, torch.randn(3, *SHAPE, dtype=torch.float64)
    first, *others = (
        inradius.make(spec.format(given), ThreatModel)
        for given in ("(-0.5, 1.5)", "((-0.5, -0.5), (1.5, 1.5))", f"('{tmp_path / 'low.npy'}', 1.5)")
    )
    for threat in others:
        for ask in (
            lambda s: s.project(v, x),
            lambda s: s.linear_max(v, x),
            lambda s: s.support(v[:, None], x),
            lambda s: s.violation(v, x),
        ):
            torch.testing.assert_close(ask(threat), ask(first), rtol=1e-9, atol=1e-9)


def test_the_box_of_a_table_has_a_range_for_each_feature():
    threat = inradius.make("linf(10, bounds=((0, -1, 100), (1, 1, 200)))", ThreatModel)
    low, high = threat.bounds
    x = torch.tensor([[0.5, 0.0, 150.0]])
    assert (threat.hull(x)[0] + x >= low - 1e-4).all()
    assert torch.equal(
        (x + threat.linear_max(torch.ones(1, 3), x)).double().clamp(low, high),
        torch.tensor([[1.0, 1.0, 160.0]]).double(),
    )


def test_a_spec_holds_the_hash_of_a_file(tmp_path):
    file = tmp_path / "high.npy"
    np.save(file, np.ones(3))
    threat = inradius.make(f"l2(1.0, bounds=(0, '{file}'))", ThreatModel)
    assert inradius.make(str(threat), ThreatModel) == threat
    assert "#sha256=" in str(threat)
    spec = str(threat)
    np.save(file, np.full(3, 2.0))
    with pytest.raises(InputError, match="has changed"):
        inradius.make(spec, ThreatModel)


@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        ("((0, 1), (1, 1))", "is not a box"),
        ("((0, 1), (1, 2, 3))", "is not a box"),
        ("(1, 0)", "is not a box"),
        ("((), 1)", "is not a box"),
        ("('nothing.npy', 1)", "there is no file"),
    ],
)
def test_a_box_that_is_none_is_refused_in_a_sentence(bounds, error):
    with pytest.raises((SpecError, InputError), match=error):
        inradius.make(f"linf(0.1, bounds={bounds})", ThreatModel)


def test_sides_that_do_not_fit_the_inputs_are_refused():
    threat = inradius.make("linf(0.1, bounds=((0, 0), 1))", ThreatModel)
    with pytest.raises(InputError, match=r"side of shape \(2,\) for inputs of shape \(3, 4, 4\)"):
        threat.check_inputs(torch.rand(1, 3, 4, 4))
    with pytest.raises(InputError, match="allows"):
        inradius.make("linf(0.1, bounds=((0, 0), (1, 5)))", ThreatModel).check_inputs(torch.full((1, 2, 2, 2), 3.0))


def test_wasserstein_takes_two_numbers():
    with pytest.raises(SpecError, match="pair"):
        inradius.make("wasserstein(0.1, bounds=((0, 0), 1))", ThreatModel)


@pytest.mark.parametrize("shape", [(3,), (3, 1, 1), (1, 3, 1, 1), (3, 4, 4)])
def test_tensors_of_strangers_broadcast(shape):
    low, high = torch.full(shape, -1.0), torch.full(shape, 2.0)
    x = torch.zeros(2, 3, 4, 4)
    assert torch.equal(room(x, (low, high))[1], torch.full_like(x, 2.0))


ATTACKS = [
    "fgsm",
    "pgd(steps=3)",
    "apgd(steps=5)",
    "cw(steps=5)",
    "ead(steps=5)",
    "fab(steps=3)",
    "ddn(steps=3)",
    "bab_attack(steps=1)",
    "square(queries=20)",
]


@pytest.mark.parametrize("spec", ATTACKS)
@pytest.mark.parametrize("ball", ["linf(0.3, bounds={})", "l2(0.5, bounds={})", "l1(2.0, bounds={})"])
def test_attacks_stay_within_the_box(spec, ball, sides):
    threat, attack = inradius.make(ball.format(sides["files"]), ThreatModel), inradius.make(spec, Attack)
    if (spec.startswith("cw") and "l2" not in ball) or (spec.startswith("ead") and "l1" not in ball):
        pytest.skip("another norm")
    torch.manual_seed(0)
    low, high = (side.float() for side in threat.bounds)
    x = low + torch.rand(4, *SHAPE) * (high - low)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 3))
    found = attack(model, x, model(x).argmax(1), threat)
    assert ((x + found.delta >= low - 1e-5) & (x + found.delta <= high + 1e-5)).all()
    proof = inradius.make("dual", Certifier)(model, x, model(x).argmax(1), threat)
    assert not (proof.certified & found.success).any()


def test_a_bracket_runs_on_a_table(tmp_path):
    x = torch.tensor([[0.5, 100.0], [0.2, 150.0], [0.9, 120.0]])
    model = torch.nn.Linear(2, 2)
    box = torch.tensor([0.0, 100.0]), torch.tensor([1.0, 200.0])
    data = inradius.Dataset.of(x, model(x).argmax(1), bounds=box)
    report = inradius.bracket(
        model,
        data,
        "linf(0.1, bounds=((0, 100), (1, 200)))",
        attacks=["fgsm"],
        certifiers=["interval"],
        folder=tmp_path,
    )
    assert report.lower <= report.upper
    report.to_html()
