"""Minimal-norm attacks on networks whose gradients vanish: where a corner of the box is misclassified, something is found."""

import itertools

import pytest
import torch
from minimal_cases import attack_of, threat_of
from torch import nn

import inradius
from inradius.sets.derived import DerivedOracles
from inradius_minimal.fallback import fall_back
from inradius_minimal.smallest import Smallest

SPECS = ["fmn(steps=40)", "ddn(steps=40)", "deepfool(steps=5)", "fab(steps=5)", "pdpgd(steps=40)"]
ONE = {"cw(searches=2, steps=20)": "l2(eps=0.5)", "ead(searches=2, steps=20)": "l1(eps=1.0)"}


class Threshold(nn.Module):
    """Numbers from 0.4 to 0.6 as the whole range from 0 to 1; the gradient elsewhere is 0."""

    def forward(self, x):
        return (5 * x - 2).clamp(0, 1)


def masked(seed):
    """A perceptron behind a threshold, inputs away from the slope, and the labels that it gives."""
    torch.manual_seed(seed)
    model = nn.Sequential(Threshold(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).double().eval()
    x = torch.rand(12, 6, dtype=torch.float64)
    x = torch.where(x < 0.5, 0.7 * x, 0.3 + 0.7 * x)
    return model, x, model(x).argmax(1)


def shares(model, x, y):
    """The share of the corners of the box that are misclassified, (B,)."""
    corners = torch.tensor([*itertools.product((0.0, 1.0), repeat=6)], dtype=torch.float64)
    return (model(corners).argmax(1)[None] != y[:, None]).double().mean(1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spec", [*SPECS, *ONE])
def test_something_is_found_wherever_corners_are_misclassified(spec, seed):
    model, x, y = masked(seed)
    x_gradient = x.clone().requires_grad_()
    model(x_gradient).sum().backward()
    assert not x_gradient.grad.any()
    for threat in [ONE[spec]] if spec in ONE else ["linf(eps=0.2)", "l2(eps=0.5)", "l1(eps=1.0)"]:
        found = attack_of(spec)(model, x, y, threat_of(threat))
        share = shares(model, x, y)
        assert bool((found.margin < 0)[share > 0.25].all())
        assert not bool((found.margin < 0)[share == 0].any())


def test_a_search_in_the_dark_comes_near_the_boundary():
    model, x, y = masked(0)
    known = shares(model, x, y) > 0.25
    # the label lasts until some number passes 0.4 or 0.6
    least = torch.minimum((x - 0.4).abs(), (x - 0.6).abs()).amin(1)
    for spec in ("fmn()", "ddn()"):
        found = attack_of(spec)(model, x, y, threat_of("linf(eps=1.0)"))
        assert bool((found.gauge >= least)[known].all())
        assert float(found.gauge[known].median()) < 0.5


@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "l2(eps=0.5, bounds=None)", "l0(k=2)", "wasserstein(eps=0.1)"])
def test_far_points_keep_to_the_hard_constraints(threat):
    model, x, y = masked(1)
    around = threat_of(threat)
    if threat.startswith("wasserstein"):
        model, x = nn.Sequential(nn.Flatten(), model), x.view(-1, 1, 2, 3)
    rng = inradius.ExampleRNG(0, torch.arange(len(x)))
    batch = inradius.AttackBatch(model=inradius.CountedModel(model, y), x=x, y=y, threat=around, rng=rng)
    with torch.no_grad():
        found = Smallest(batch, lambda part, delta: part.threat.gauge(delta, part.x))
        fall_back(batch, found)
    reached = torch.isfinite(found.size)
    assert bool(reached.any())
    assert bool((around.violation(found.delta, x) <= 1e-9).all())
    with torch.no_grad():
        assert bool((model(x + found.delta).argmax(1) != y)[reached].all())


def test_a_start_that_is_misclassified_already_does_not_turn_the_descent_around():
    torch.manual_seed(0)
    model = nn.Linear(4, 2).double()
    x = torch.rand(6, 4, dtype=torch.float64)
    y = model(x).argmax(1)
    for spec, threat in (
        ("cw(searches=4, steps=40)", "l2(eps=0.5, bounds=None)"),
        ("ead(searches=4)", "l1(eps=1.0, bounds=None)"),
    ):
        around = threat_of(threat)
        free = attack_of(spec)(model, x, y, around)
        far = attack_of(spec)(model, x, y, around, start=3 * free.delta)
        assert bool((far.margin < 0).all())
        assert bool((far.gauge < 1.5 * free.gauge).all())


class OneRadius(DerivedOracles):
    """A ball that knows no other radius."""

    def __init__(self, threat):
        self.threat = threat

    def __getattribute__(self, name):
        forwarded = {"measure", "radius", "bounds", "room", "project", "linear_max", "gauge", "violation"}
        return getattr(self.threat, name) if name in forwarded else super().__getattribute__(name)

    def project(self, delta, x): ...
    def linear_max(self, c, x): ...
    def gauge(self, delta, x): ...

    def select(self, index):
        return self

    def members(self):
        return (self,)


def test_a_set_of_one_radius_has_no_far_points():
    model, x, y = masked(0)
    found = attack_of("deepfool(steps=3)")(model, x, y, OneRadius(threat_of("linf(eps=0.2)")))
    assert not found.success.any()
