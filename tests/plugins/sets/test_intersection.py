"""Intersections of convex sets: laws, agreement with cvxpy and with sets that have closed forms."""

import pytest
import torch

from inradius import SpecError, ThreatModel, make
from inradius.testing import check_threat_model, laws, reference

LAWS = {law.__name__: law for law in laws(ThreatModel)}
# a maximiser found by iteration is exact to a share of the largest term alone
APPROXIMATE = [LAWS["linear_max_beats_samples"]]
# A subspace within a box is the hard case; its support is compared with cvxpy's below.
STEADY = (
    "zero_is_inside",
    "oracles_stay_inside",
    "smaller_sets_are_inside",
    "gauge_scales",
    "projection_fixes_members",
    "support_bounds_linear_max",
    "members_lie_below_support",
    "hull_is_never_inside",
    "bound_affine_is_never_inside",
)
MIXED = "intersection(linf(0.1), l1(0.6), l2(0.25))"
LIT = "intersection(affine('ramps', eps=0.4), box(lo=-1, hi=1))"


@pytest.mark.parametrize("spec", ["intersection(linf(0.2), l2(0.4))", "intersection(linf(0), l2(0.3))"])
def test_laws(spec):
    check_threat_model(spec, shape=(1, 2, 2), examples=2)


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["intersection(l2(0.7), l1(1.2))", MIXED])
def test_more_laws(spec):
    check_threat_model(spec, shape=(1, 2, 3), examples=6, without=APPROXIMATE)


@pytest.mark.slow
def test_laws_of_a_subspace_within_a_box():
    check_threat_model(LIT, shape=(1, 2, 3), examples=6, only=[LAWS[name] for name in STEADY])


@pytest.mark.parametrize(
    "spec",
    [LIT, "intersection(affine('ramps', 0.3), linf(0.2))", "intersection(l1(1.0), l2(0.4), affine('ramps', 0.3))"],
)
def test_answers_are_members_without_any_tolerance(spec):
    """They lie in a subspace up to rounding, and no bound of the intersection is below them."""
    threat, (x, v) = make(spec, ThreatModel), batch(shape=(2, 2, 2))
    for delta in (threat.project(v, x), threat.linear_max(v, x), threat.sample(x)):
        assert threat.contains(delta, x, tol=0.0).all()
    check_threat_model(spec, shape=(2, 2, 2), examples=3, only=[LAWS["members_lie_below_support"]])


def batch(count=3, shape=(1, 4, 5), spread=1.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = (spread * torch.rand(count, *shape, generator=generator, dtype=torch.float64) - (spread - 1) / 2).clamp(0, 1)
    return x, torch.randn(count, *shape, generator=generator, dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate:UserWarning")
@pytest.mark.parametrize(
    ("spec", "spread"),
    [("intersection(l2(0.5), l1(1.0))", 1.5), (MIXED, 1.5), ("intersection(linf(0.1), l1(0.7))", 1.5), (LIT, 0.6)],
)
def test_agrees_with_cvxpy(spec, spread):
    threat = make(spec, ThreatModel)
    x, v = batch(spread=spread)
    point, gap = threat.project_with_gap(v, x)
    best, support = threat.linear_max(v, x), threat.support(v[:, None], x)[:, 0]
    assert threat.contains(point, x, tol=1e-8).all()
    assert threat.contains(best, x, tol=1e-8).all()
    for row in range(len(x)):
        nearest = reference.project(threat, v[row], x[row])
        ours, theirs = (v[row] - point[row]).square().sum(), (v[row] - nearest).square().sum()
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
        assert 0 <= gap[row] <= 1e-6 * theirs
        exact = reference.support(threat, v[row], x[row])
        assert (v[row] * best[row]).sum().item() == pytest.approx(exact, rel=1e-6)
        assert exact * (1 - 1e-8) <= support[row] <= 1.02 * exact


def test_the_box_of_inputs_is_one_more_member():
    """The intersection of an unbounded ball and a box is the ball ∩ box, for which there are closed forms."""
    x, v = batch(4)
    for ball in ("l2(0.6", "l1(1.5", "linf(0.2"):
        joined = make(f"intersection({ball}, bounds=None), box(lo=-1, hi=1))", ThreatModel)
        closed = make(f"{ball})", ThreatModel)
        torch.testing.assert_close(joined.project(v, x), closed.project(v, x), rtol=1e-7, atol=1e-8)
        values = [(v * threat.linear_max(v, x)).flatten(1).sum(1) for threat in (joined, closed)]
        torch.testing.assert_close(*values, rtol=1e-7, atol=0)
        bound, exact = (threat.support(v[:, None], x) for threat in (joined, closed))
        assert (bound >= exact * (1 - 1e-12)).all()
        assert (bound <= exact * 1.02).all()
        assert (bound / exact).median() < 1 + 1e-6


def test_support_is_sound_and_better_than_its_members():
    threat = make(MIXED, ThreatModel)
    x, v = batch(4)
    c = torch.stack([v, v**3, v * 10.0 ** (3 * v)], dim=1)
    support = threat.support(c, x)
    singles = torch.stack([member.support(c, x) for member in threat.sets]).amin(0)
    assert (support <= singles * (1 + 1e-12)).all()
    assert (support < 0.97 * singles).any()
    for k in range(3):
        assert ((c[:, k] * threat.linear_max(c[:, k], x)).flatten(1).sum(1) <= support[:, k]).all()
    low = threat.support(c.float(), x.float())
    assert low.dtype == torch.float32
    for k in range(3):
        value = (c[:, k].float().double() * threat.linear_max(c[:, k], x)).flatten(1).sum(1)
        assert (low[:, k].double() >= value * (1 - 1e-7)).all()


def test_the_gradient_of_support_is_near_the_maximiser():
    threat = make("intersection(l2(0.5), l1(1.0))", ThreatModel)
    x, v = batch()
    c = v[:, None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(threat.support(c, x).sum(), c)
    assert (gradient[:, 0] - threat.linear_max(v, x)).abs().max() < 0.05


def test_single_precision_and_halves():
    threat = make("intersection(l2(0.5), l1(1.0))", ThreatModel)
    x, v = batch()
    exact = threat.project(v, x)
    torch.testing.assert_close(threat.project(v.float(), x.float()).double(), exact, rtol=0, atol=1e-5)
    for dtype in (torch.float16, torch.bfloat16):
        point = threat.project(v.to(dtype), x.to(dtype))
        assert point.dtype == dtype
        assert threat.contains(point, x.to(dtype)).all()


def test_nested_intersections_flatten():
    flat = make("intersection(linf(0.1), l2(1), l1(2))")
    assert make("intersection(linf(0.1), intersection(l2(1), l1(2)))") == flat
    assert make(str(flat)) == flat
    assert flat.members() == (flat,)
    assert str(flat.scaled(0.5)) == "intersection(linf(eps=0.05), l2(eps=0.5), l1(eps=1.0))"
    assert flat.bounds == (0.0, 1.0)


def test_the_gauge_is_the_largest():
    x, v = batch()
    threat = make("intersection(linf(0.1), l2(1))", ThreatModel)
    gauges = torch.stack([member.gauge(v, x) for member in threat.sets])
    assert torch.equal(threat.gauge(v, x), gauges.amax(0))


def test_what_is_refused():
    with pytest.raises(SpecError, match=r"l0\(k=2.0\) is not convex; an intersection allows convex sets alone"):
        make("intersection(linf(0.1), l0(2))")
    with pytest.raises(SpecError, match="are no sets; allowed are one or more"):
        make("intersection()")
    with pytest.raises(SpecError, match="is no set"):
        make("intersection(linf(0.1), fgsm())")


def test_reports_say_what_the_members_radii_measure():
    moved = make("wasserstein(0.1)", ThreatModel)
    assert make("intersection(linf(0.1), wasserstein(0.1))", ThreatModel).convention == f"{moved}: {moved.convention}"
    assert make("intersection(linf(0.1), l2(1))", ThreatModel).convention == ""
