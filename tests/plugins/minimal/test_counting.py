"""Attacks on sets that count what changes: the fewest numbers of linear models, pixels of images, vectors and series."""

import pytest
import torch
from minimal_cases import attack_of, labelled, perceptron, threat_of
from torch import nn

from inradius import AttackBatch, CountedModel, ExampleRNG, UnsupportedError
from inradius.testing import check_attack
from inradius_minimal.counting import channels, ends, grain

SPECS = ["fmn()", "sigma_zero()"]
SHAPES = [(12,), (2, 6), (2, 2, 3)]


def fewest(model, x, y, low=0.0, high=1.0):
    """The fewest numbers by which a linear model is fooled, or infinity, (B,): those that gain most, one after the other."""
    rows = (model.weight[None] - model.weight[y][:, None]).detach()
    gain = torch.maximum(rows * (low - x)[:, None], rows * (high - x)[:, None]).sort(dim=2, descending=True).values
    logits = model(x).detach()
    reached = (logits - logits.gather(1, y[:, None]))[:, :, None] + gain.cumsum(2) > 0
    count = torch.where(reached.any(2), reached.to(torch.int64).argmax(2) + 1.0, torch.inf)
    return count.scatter(1, y[:, None], torch.inf).amin(1)


def batch_of(x, threat, y=None):
    y = torch.zeros(len(x), dtype=torch.int64) if y is None else y
    model = CountedModel(nn.Flatten(), y)
    return AttackBatch(model=model, x=x, y=y, threat=threat, rng=ExampleRNG(0, torch.arange(len(x))))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spec", SPECS)
def test_linear_models_need_the_fewest_numbers(spec, shape):
    torch.manual_seed(0)
    model = nn.Linear(12, 3).double()
    x = torch.rand(16, 12, dtype=torch.float64)
    y = model(x).argmax(1)
    least = fewest(model, x, y)
    known = torch.isfinite(least)
    assert int(known.sum()) > 8
    whole = nn.Sequential(nn.Flatten(), model)
    found = attack_of(spec)(whole, x.view(-1, *shape), y, threat_of("l0(k=1, per='coordinate')"))
    assert torch.equal(found.margin < 0, known)
    assert bool((found.gauge >= least)[known].all())
    assert float((found.gauge == least)[known].double().mean()) > 0.8


@pytest.mark.parametrize("spec", SPECS)
def test_pixels_have_all_channels(spec):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 4)).double()
    x = torch.rand(8, 3, 4, 4, dtype=torch.float64)
    y = model(x).argmax(1)
    pixels, numbers = (
        attack_of(spec)(model, x, y, threat_of(threat)) for threat in ("l0(k=1)", "l0(k=1, per='coordinate')")
    )
    assert bool((pixels.margin < 0).all() & (numbers.margin < 0).all())
    assert torch.equal(pixels.gauge, (pixels.delta != 0).any(1).flatten(1).sum(1).double())
    assert bool((pixels.gauge <= numbers.gauge).all())


@pytest.mark.parametrize("spec", ["fmn(steps=20)", "sigma_zero(steps=20)", "pdpgd(steps=20)"])
def test_the_budget_changes_nothing_but_the_success(spec):
    model = perceptron()
    x, y = labelled(model)
    one, many = (attack_of(spec)(model, x, y, threat_of(f"l0(k={k})")) for k in (1, 5))
    torch.testing.assert_close(one.gauge, 5 * many.gauge)
    assert torch.equal(many.success, many.gauge.le(1) & (many.margin < 0))


@pytest.mark.parametrize("spec", ["sigma_zero(steps=4)", "fmn(steps=4)"])
def test_laws(spec):
    check_attack(spec, "l0(k=2)", shape=(2, 2, 2), examples=3)


def test_sets_that_count_are_told_by_their_gauge():
    x = torch.rand(3, 2, 4, 4)
    assert torch.equal(grain(batch_of(x, threat_of("l0(k=4)"))), torch.full((3,), 0.25))
    for threat in ("linf(eps=0.1)", "l2(eps=0.1)", "l1(eps=0.1)", "wasserstein(eps=0.1)"):
        assert not grain(batch_of(x, threat_of(threat))).any()
    assert channels(batch_of(x, threat_of("l0(k=4)"))) == 2
    assert channels(batch_of(x, threat_of("l0(k=4, per='coordinate')"))) == 1
    low, high = ends(batch_of(x, threat_of("l0(k=4, bounds=(-1.0, 1.0))")))
    torch.testing.assert_close(low, -1 - x)
    torch.testing.assert_close(high, 1 - x)


def test_a_mask_is_kept(tmp_path):
    import numpy as np

    np.save(tmp_path / "mask.npy", np.arange(8) < 5)
    torch.manual_seed(3)
    model, x = nn.Linear(8, 3).double(), torch.rand(16, 8, dtype=torch.float64)
    y = model(x).argmax(1)
    threat = threat_of(f"l0(k=1, mask='{tmp_path / 'mask.npy'}')")
    for spec in SPECS:
        found = attack_of(spec)(model, x, y, threat)
        assert not found.delta.flatten(1)[:, 5:].any()
        assert bool((found.margin < 0).any())


@pytest.mark.parametrize("threat", ["linf(eps=0.1)", "l2(eps=0.1)"])
def test_sets_that_do_not_count_are_refused(threat):
    model = perceptron()
    x, y = labelled(model)
    with pytest.raises(UnsupportedError, match="counts the numbers that change"):
        attack_of("sigma_zero()")(model, x, y, threat_of(threat))
