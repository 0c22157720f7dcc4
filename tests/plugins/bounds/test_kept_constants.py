"""Constants that are computed from weights are kept between certificates while the weights have the same bits."""

import copy

import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, ThreatModel
from inradius_bounds.lowering import read_tensors
from inradius_bounds.lowering.constants import ConstantStore

THREAT = inradius.make("linf(eps=0.05)", ThreatModel)


def network(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )  # fmt: skip
    net[1].running_var.uniform_(0.5, 2)
    return net.eval()


def lower(net, spec="interval()"):
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return inradius.make(spec, Certifier)(net, x, torch.zeros(3, dtype=torch.int64), THREAT).lower


CHANGES = {
    "in place": lambda net: net[0].weight.data.mul_(2),
    "another tensor": lambda net: setattr(net[0], "weight", nn.Parameter(2 * net[0].weight.detach())),
    "another memory": lambda net: setattr(net[0].weight, "data", 2 * net[0].weight.data),
    "a statistic": lambda net: net[1].running_mean.add_(1),
    "a state": lambda net: net.load_state_dict(network(seed=1).state_dict()),
}


@pytest.mark.parametrize("spec", ["interval()", "crown()"])
@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_are_seen(spec, change):
    net = network()
    before = lower(net, spec)
    with torch.no_grad():
        CHANGES[change](net)
    found = lower(net, spec)
    assert torch.equal(found, lower(copy.deepcopy(net), spec))
    assert not torch.equal(found, before)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_one_type_has_met_is_seen_by_the_others(change):
    net = network()
    before = lower(net, "crown()")
    lower(net, "interval()")
    with torch.no_grad():
        CHANGES[change](net)
    # in float32 alone; crown also counts from values in float64
    lower(net, "interval()")
    found = lower(net, "crown()")
    assert torch.equal(found, lower(copy.deepcopy(net), "crown()"))
    assert not torch.equal(found, before)


def test_unchanged_weights_are_not_computed_with_again(monkeypatch):
    net = network()
    before, asked = lower(net), []
    rounded = ConstantStore.rounded

    def counted(store, make):
        asked.append(store)
        return rounded(store, make)

    monkeypatch.setattr(ConstantStore, "rounded", counted)
    assert torch.equal(lower(net), before)
    assert not asked
    CHANGES["in place"](net)
    lower(net)
    assert asked


def test_large_weights_are_not_copied(monkeypatch):
    net = network()
    expected = lower(net)
    monkeypatch.setattr(read_tensors, "_MOST", 0)
    other = copy.deepcopy(net)
    assert torch.equal(lower(other), expected)
    CHANGES["in place"](other)
    assert not torch.equal(lower(other), expected)


def test_gradients_reach_the_weights_behind_a_certificate():
    net, certifier = network(), inradius.make("interval()", Certifier)
    x, y = torch.rand(3, 1, 4, 4), torch.zeros(3, dtype=torch.int64)
    for _ in range(2):
        certifier(net, x, y, THREAT)
        net.zero_grad()
        certifier.bound(net, x, y, THREAT).sum().backward()
        assert all(part.grad is not None and bool(part.grad.isfinite().all()) for part in net.parameters())
    assert torch.equal(lower(net), lower(copy.deepcopy(net)))


class HalfTurn(nn.Module):
    """x ± π: the sign is that of a zero."""

    def __init__(self, zero):
        super().__init__()
        self.zero = zero

    def forward(self, x):
        zero = self.zero if isinstance(self.zero, torch.Tensor) else torch.full((1,), self.zero)
        return torch.cat([x + torch.atan2(zero, -torch.ones(1)), x], dim=1)


@pytest.mark.parametrize("spec", ["interval()", "crown()"])
@pytest.mark.parametrize("zero", [torch.zeros(1), 0.0], ids=["tensor", "number"])
def test_a_zero_with_another_sign_is_seen(spec, zero):
    net, x = HalfTurn(zero).eval(), torch.rand(1, 1)
    for _ in range(2):
        proof = inradius.make(spec, Certifier)(net, x, torch.tensor([0]), THREAT)
        first, second = net(x)[0]
        assert float(proof.lower[0, 0]) <= float(first - second) + 1e-4
        net.zero = -net.zero
