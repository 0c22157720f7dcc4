"""The ℓ0 ball ∩ box against brute force over every choice of pixels."""

from itertools import combinations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

import inradius
from inradius.testing import check_threat_model, directions, inputs, perturbations

SHAPE = (2, 2, 3)
SPECS = ["l0(k=2)", "l0(k=2, per='coordinate')", "l0(k=2.7)", "l0(k=0)", "l0(k=100)", "l0(k=1, bounds=(-1, 2))"]


@pytest.mark.parametrize("spec", SPECS)
def test_laws(spec):
    check_threat_model(spec, shape=SHAPE, examples=3)


def test_laws_in_single_precision():
    check_threat_model("l0(k=2)", shape=SHAPE, examples=4, dtype=torch.float32)


def choices(threat, shape):
    """Every mask of at most k pixels, (M, *S)."""
    pixels = [(slice(None), row, column) for row in range(shape[1]) for column in range(shape[2])]
    if threat.per == "coordinate":
        pixels = [(c, *p[1:]) for c in range(shape[0]) for p in pixels]
    masks = []
    for chosen in combinations(pixels, min(int(threat.k), len(pixels))):
        mask = torch.zeros(shape, dtype=torch.float64)
        for pixel in chosen:
            mask[pixel] = 1
        masks.append(mask)
    return torch.stack(masks)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(inputs(SHAPE), perturbations(SHAPE), directions(SHAPE), st.sampled_from(SPECS[:4]))
def test_agrees_with_brute_force(x, v, c, spec):
    threat = inradius.make(spec, inradius.ThreatModel)
    masks = choices(threat, SHAPE)
    low, high = -x[:, None], 1 - x[:, None]
    points = torch.maximum(torch.minimum(v[:, None], high), low) * masks
    best = (v[:, None] - points).flatten(2).norm(dim=2).amin(1)
    distance = (v - threat.project(v, x)).flatten(1).norm(dim=1)
    torch.testing.assert_close(distance, best, rtol=1e-12, atol=1e-12)
    direction = c[:, :1]
    corners = torch.where(direction > 0, high, low) * masks
    value = (direction * corners).flatten(2).sum(2).amax(1)
    support = threat.support(direction, x)[:, 0]
    assert (support >= value).all()
    torch.testing.assert_close(support, value, rtol=1e-13, atol=0)
    reached = (c[:, 0] * threat.linear_max(c[:, 0], x)).flatten(1).sum(1)
    torch.testing.assert_close(reached, value, rtol=1e-12, atol=0)


def test_a_pixel_has_all_channels():
    x = torch.full((1, 3, 2, 2), 0.5)
    delta = torch.zeros_like(x)
    delta[:, :, 0, 1] = 0.25
    assert inradius.make("l0(1)").gauge(delta, x) == 1
    assert inradius.make("l0(1, per='coordinate')").gauge(delta, x) == 3
    assert inradius.make("l0(1)").gauge(delta.flatten(1), x.flatten(1)) == 3


def test_the_radius_is_a_number_of_pixels():
    threat = inradius.make("l0(k=3)", inradius.ThreatModel)
    assert threat.scaled(0.1).scaled(10) == threat
    assert str(threat.scaled(0.5)) == "l0(k=1.5)"
    x = torch.full((1, 1, 2, 2), 0.5)
    assert threat.scaled(0.5).linear_max(torch.ones_like(x), x).count_nonzero() == 1


def test_half_precision_stays_inside_and_sound():
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float16, torch.bfloat16):
        x = torch.rand(4, 1, 5, 5, generator=generator).to(dtype)
        c = torch.randn(4, 3, 1, 5, 5, generator=generator).to(dtype)
        threat = inradius.make("l0(k=4)", inradius.ThreatModel)
        delta = threat.linear_max(c[:, 0], x)
        assert delta.dtype == dtype
        assert threat.contains(delta, x, tol=0.0).all()
        exact = threat.support(c.double(), x.double())
        assert (threat.support(c, x).double() >= exact).all()
        torch.testing.assert_close(threat.support(c, x).double(), exact, rtol=0.02, atol=0)


def test_the_gradient_of_support_is_the_maximiser():
    x = torch.rand(2, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    c = torch.randn(2, 2, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    threat = inradius.make("l0(k=2)", inradius.ThreatModel)
    (gradient,) = torch.autograd.grad(threat.support(c, x).sum(), c)
    torch.testing.assert_close(gradient[:, 1], threat.linear_max(c[:, 1].detach(), x))


def test_a_box_is_needed():
    with pytest.raises(inradius.SpecError, match="without a box the l0 set is unbounded; allowed is a pair"):
        inradius.make("l0(k=2, bounds=None)")
    with pytest.raises(inradius.SpecError, match="is not a radius"):
        inradius.make("l0(k=-1)")
    with pytest.raises(inradius.InputError, match="allows"):
        inradius.make("l0(k=2)", inradius.ThreatModel).check_inputs(torch.full((1, 1, 2, 2), 2.0))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(inputs(SHAPE), perturbations(SHAPE), directions(SHAPE), st.sampled_from(SPECS), st.integers(0, 2**31))
def test_a_radius_for_each_example_is_that_of_the_set_scaled(x, v, c, spec, seed):
    threat = inradius.make(spec, inradius.ThreatModel)
    factors = 2 * torch.rand(len(x), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    each = threat.per_example(factors)
    for row, factor in enumerate(factors.tolist()):
        alone, some = threat.scaled(factor), slice(row, row + 1)
        for oracle, given_ in (("project", v), ("linear_max", c[:, 0]), ("gauge", v), ("support", c[:, :1])):
            torch.testing.assert_close(
                getattr(each, oracle)(given_, x)[some], getattr(alone, oracle)(given_[some], x[some])
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gauge_as_radius_allows_as_many_pixels(dtype):
    threat, x = inradius.make("l0(k=7)", inradius.ThreatModel), torch.full((30, 1, 6, 6), 0.5, dtype=dtype)
    delta = torch.zeros_like(x).flatten(1)
    for row in range(30):
        delta[row, : row + 1] = 0.25
    delta = delta.view_as(x)
    each = threat.per_example(threat.gauge(delta, x))
    assert torch.equal(each.project(delta, x), delta)
    assert bool((each.gauge(delta, x) - 1).abs().le(1e-6).all())
