"""Norm balls in a mask: exact where the mask lets them move, and 0 elsewhere."""

import numpy as np
import pytest
import torch

import inradius
from inradius import Attack, Certifier, Dataset, InputError, ThreatModel
from inradius.testing import check_threat_model

SHAPE, COUNT = (1, 3, 3), 4
BALLS = ["linf(0.2, mask='{}')", "l2(0.4, mask='{}')", "l1(0.8, mask='{}')", "l0(2, mask='{}')"]
EACH = [*BALLS[:3], "union(linf(0.1, mask='{0}'), l2(0.3, mask='{0}'))"]


def masks():
    return (np.random.default_rng(1).random((COUNT, *SHAPE)) < 0.5).astype(np.uint8)


@pytest.fixture
def one(tmp_path):
    np.save(tmp_path / "mask.npy", masks()[0])
    return str(tmp_path / "mask.npy")


@pytest.fixture
def several(tmp_path):
    np.save(tmp_path / "masks.npy", masks())
    return str(tmp_path / "masks.npy")


def points():
    torch.manual_seed(0)
    return torch.rand(COUNT, *SHAPE, dtype=torch.float64), torch.randn(COUNT, *SHAPE, dtype=torch.float64)


@pytest.mark.parametrize("spec", [*BALLS, "l2(0.4, bounds=None, mask='{}')", "union(l1(0.5, mask='{0}'), l2(0.3))"])
def test_every_law_holds(spec, one):
    check_threat_model(spec.format(one), shape=SHAPE, examples=2)


@pytest.mark.parametrize("spec", BALLS)
def test_a_masked_ball_is_the_ball_of_what_may_move(spec, one):
    """Its oracles are those of the plain ball of the coordinates in the mask."""
    x, v = points()
    inside = torch.from_numpy(masks()[0]) != 0
    held = inradius.make(spec.format(one), ThreatModel)
    plain = inradius.make(spec.split(",")[0] + (", per='coordinate')" if "l0" in spec else ")"), ThreatModel)
    part, around = v[:, inside], x[:, inside]
    for ask in ("project", "linear_max"):
        found = getattr(held, ask)(v, x)
        torch.testing.assert_close(found[:, inside], getattr(plain, ask)(part, around))
        assert not found[:, ~inside].any()
    torch.testing.assert_close(held.support(v[:, None], x), plain.support(part[:, None], around))
    assert held.violation(v, x).min() >= v[:, ~inside].abs().amax(1).min()


@pytest.mark.parametrize("spec", BALLS)
def test_a_mask_of_ones_changes_nothing(spec, tmp_path):
    np.save(tmp_path / "ones.npy", np.ones(SHAPE))
    x, v = points()
    held = inradius.make(spec.format(tmp_path / "ones.npy"), ThreatModel)
    plain = inradius.make(spec.split(",")[0] + ")", ThreatModel)
    for ask in (
        lambda s: s.project(v, x),
        lambda s: s.linear_max(v, x),
        lambda s: s.support(v[:, None], x),
        lambda s: s.sample(x),
    ):
        assert torch.equal(ask(held), ask(plain))


@pytest.mark.parametrize("spec", EACH)
def test_a_mask_for_each_example_goes_with_its_number(spec, several, tmp_path):
    x, v = points()
    threat, index = inradius.make(spec.format(several), ThreatModel), torch.tensor([2, 0, 3])
    own = threat.at(index, x[index])
    factors = torch.tensor([1.0, 0.5, 2.0])
    for row, number in enumerate(index.tolist()):
        np.save(tmp_path / "one.npy", masks()[number])
        alone = inradius.make(spec.format(tmp_path / "one.npy"), ThreatModel)
        here, there = x[number][None], v[number][None]
        for oracles, single in ((own, alone), (own.per_example(factors), alone.scaled(float(factors[row])))):
            for ask in ("project", "linear_max", "violation", "gauge"):
                found = getattr(oracles, ask)(v[index], x[index])[row]
                torch.testing.assert_close(found, getattr(single, ask)(there, here)[0])
            taken = oracles.select(torch.tensor([row]))
            torch.testing.assert_close(taken.support(there[:, None], here), single.support(there[:, None], here))


@pytest.mark.parametrize(
    "attack",
    [
        "fgsm",
        "pgd(steps=3, restarts=2)",
        "apgd(steps=5)",
        "ddn(steps=5)",
        "bab_attack(steps=1)",
        "fab(steps=3)",
        "worst(fgsm(), pgd(steps=3))",
    ],
)
@pytest.mark.parametrize("spec", EACH)
def test_attacks_and_certifiers_know_whose_mask_it_is(attack, spec, several):
    x, _ = points()
    threat, index = inradius.make(spec.format(several), ThreatModel), torch.tensor([3, 1])
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 3)).double()
    y = model(x).argmax(1)
    found = inradius.make(attack, Attack)(model, x[index], y[index], threat, index=index)
    assert not found.delta[torch.from_numpy(masks())[index] == 0].any()
    proof = inradius.make("dual", Certifier)(model, x[index], y[index], threat, index=index)
    assert not (proof.certified & found.success).any()


def test_a_bracket_knows_whose_mask_it_is(several, tmp_path):
    x, _ = points()
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 3)).double()
    data = Dataset.of(x, model(x).argmax(1))
    threat = inradius.make(EACH[1].format(several), ThreatModel)
    report = inradius.bracket(
        model, data, threat, attacks=["pgd(steps=3)"], certifiers=["dual"], folder=tmp_path / "run"
    )
    assert report.lower <= report.upper
    assert not any(delta[torch.from_numpy(masks())[row] == 0].any() for row, delta in report.deltas.items())


def test_a_mask_for_each_example_needs_their_numbers(several):
    x, v = points()
    threat = inradius.make(EACH[0].format(several), ThreatModel)
    with pytest.raises(InputError, match="a mask for each example"):
        threat.project(v, x)
    with pytest.raises(InputError, match="example 4 was asked for"):
        threat.at(torch.arange(1, 5), x).project(v, x)
    with pytest.raises(InputError, match="a mask for each example"):
        inradius.make(BALLS[3].format(several), ThreatModel).check_inputs(x)


def test_masks_that_are_none_are_refused(tmp_path):
    np.save(tmp_path / "half.npy", np.full(SHAPE, 0.5))
    with pytest.raises(inradius.InradiusError, match="numbers other than 0 and 1"):
        inradius.make(BALLS[0].format(tmp_path / "half.npy"))
    np.save(tmp_path / "wide.npy", np.ones((2, 5)))
    with pytest.raises(InputError, match=r"shape \(2, 5\) for inputs of shape \(1, 3, 3\)"):
        inradius.make(BALLS[0].format(tmp_path / "wide.npy"), ThreatModel).check_inputs(points()[0])
    with pytest.raises(inradius.InradiusError, match="there is no file"):
        inradius.make(BALLS[0].format(tmp_path / "none.npy"))
