import numpy as np
import pytest
import torch
from torch import nn

import inradius
from inradius import InputError, ThreatModel, UnsupportedError

FREE = "bounds=(-1e3, 1e3)"


def linear():
    """Two classes in the plane that a common move to the left exchanges."""
    network = nn.Linear(2, 2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        network.bias.zero_()
    return network


def images(count):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
    x = torch.rand(count, 3, 2, 2)
    return model, x, model(x).argmax(1)


@pytest.mark.parametrize("spec", ["linf(eps=1.5, {})", "l2(eps=1.5, {})", "l1(eps=1.5, {})"])
def test_the_optimum_of_a_linear_model(spec):
    # leads of 1.0 to 1.4 fall to a move by 1.5 to the left, and no other unit does as much
    x = torch.stack([torch.linspace(1.0, 1.4, 9), torch.linspace(-3, 3, 9)], 1)
    y, spec = torch.zeros(9, dtype=torch.int64), spec.format(FREE)
    found = inradius.universal(linear(), x, y, spec, held_out=(x + 0.05, y), batch_size=4)
    assert found.fooled == found.held_out_fooled == 1.0
    assert found.delta.shape == (2,)
    assert bool((found.found.delta == found.delta).all())


@pytest.mark.parametrize("spec", ["linf(eps=0.2)", "l2(eps=0.5)", "l1(eps=0.8)", "box(lo=-0.1, hi=0.2)"])
@pytest.mark.parametrize("clipped", [False, True])
def test_it_is_a_member_for_every_input(spec, clipped):
    model, x, y = images(40)
    found = inradius.universal(model, x, y, spec, clipped=clipped, steps=20, batch_size=16)
    threat = inradius.make(spec, ThreatModel)
    assert bool(threat.contains(found.found.delta, x).all())
    assert bool(found.found.inside.all())
    broken = model(x + found.found.delta).argmax(1) != y
    assert not bool((found.found.success & ~broken).any())
    assert found.fooled == float(found.found.success.float().mean())
    if not clipped:
        assert bool(threat.contains(found.delta.expand_as(x), x).all())


def test_equal_seeds_give_equal_answers_and_lists_will_do():
    model, x, y = images(12)
    one, other = (
        inradius.universal(model, *given, "linf(eps=0.2)", clipped=True, steps=10, batch_size=5, seed=3)
        for given in ((x, y), (x.tolist(), y.tolist()))
    )
    assert torch.equal(one.delta, other.delta)


def test_what_it_refuses():
    model, x, y = images(4)
    with pytest.raises(UnsupportedError, match="allowed are convex sets"):
        inradius.universal(model, x, y, "l0(k=2)")
    with pytest.raises(InputError, match="steps=0 is not allowed"):
        inradius.universal(model, x, y, "linf(eps=0.1)", steps=0)
    with pytest.raises(InputError, match="at least one is needed"):
        inradius.universal(model, x[:0], y[:0], "linf(eps=0.1)")


@pytest.mark.parametrize("spec", ["wasserstein(eps=0.2)", "intersection(linf(eps=0.1), l2(eps=0.3))", "l1(eps=2)"])
def test_it_is_a_member_for_every_input_of_every_set(spec):
    model, x, y = images(2)
    x[:, :, 0] = 0
    found = inradius.universal(model, x, y, spec, steps=2)
    assert found.found.inside.all()
    assert inradius.make(spec, ThreatModel).contains(found.delta.expand_as(x), x).all()


def test_masks_go_with_the_numbers_of_the_inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, x, y = images(6)
    mask = torch.rand(6, 3, 2, 2) > 0.3
    np.save("mask.npy", mask.numpy())
    spec = "linf(eps=0.3, mask='mask.npy')"
    for clipped in (False, True):
        found = inradius.universal(model, x[:4], y[:4], spec, held_out=(x[4:], y[4:]), steps=3, clipped=clipped)
        assert found.found.inside.all()
        assert not found.found.delta[~mask[:4]].any()
        assert found.held_out.inside.all() or not clipped
        assert not found.held_out.delta[~mask[4:]].any() or not clipped


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"held_out": torch.rand(2, 3, 2, 2)}, "held_out is .*; allowed is a pair of inputs and labels"),
        ({"held_out": (torch.rand(2, 1, 2, 2), torch.tensor([0, 1]))}, "allowed are those of the search"),
        ({"seed": "a"}, "seed='a' is not allowed; allowed is an integer ≥ 0"),
    ],
)
def test_what_does_not_fit_is_one_sentence(given, words):
    model, x, y = images(4)
    with pytest.raises(InputError, match=words):
        inradius.universal(model, x, y, "linf(eps=0.1)", steps=2, **given)
