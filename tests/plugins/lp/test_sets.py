"""The ℓp sets as components: their parameters, membership, batches and what they say about bad input."""

import math

import numpy as np
import pytest
import torch

import inradius
from inradius import ExampleRNG, InputError, SpecError
from inradius_lp import L1, L2, Linf

SETS = [Linf(eps=0.3), L2(eps=0.8), L1(eps=1.2)]
every_set = pytest.mark.parametrize("threat", SETS, ids=str)


def pictures(batch=5, *, dtype=torch.float64, shape=(1, 4, 4)):
    x = torch.rand(batch, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return ((x * 3).round() / 3).to(dtype)


def noise(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("text", ["linf(eps=8/255)", "l2(0.5, bounds=None)", "l1(eps=12, bounds=(-1, 2), k1=3, k2=9)"])
def test_specs_make_and_print_the_sets(text):
    made = inradius.make(text, inradius.ThreatModel)
    assert inradius.make(str(made)) == made
    assert hash(inradius.make(str(made))) == hash(made)


def test_numbers_become_floats():
    made = inradius.make("l1(eps=12, bounds=(0, 1))")
    assert made == L1(eps=12.0)
    assert type(made.eps) is float
    assert all(type(end) is float for end in made.bounds)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("linf(eps=-1)", "eps=-1.0 is not a radius"),
        ("l2(eps=True)", "eps=True is not a radius"),
        ("l2(eps='big')", "eps='big' is not a radius"),
        ("l2(eps=1, bounds=(1, 0))", "is not a box"),
        ("l1(eps=1, bounds=0)", "is not a box"),
        ("l1(eps=1, k1=0)", "k1=0 is not allowed"),
        ("l1(eps=1, k1=9, k2=3)", "k2=3 is below k1=9"),
        ("linf()", "eps"),
    ],
)
def test_bad_parameters_are_named(text, said):
    with pytest.raises(SpecError, match=said):
        inradius.make(text)


@every_set
def test_declarations(threat):
    assert threat.convex
    assert threat.symmetric
    assert threat.tight
    assert threat.members() == (threat,)
    assert threat.scaled(0.5).eps == threat.eps / 2
    assert not threat.per_example(torch.ones(3)).symmetric


@every_set
def test_inputs_outside_the_box_are_refused(threat):
    x = pictures(3)
    threat.check_inputs(x)
    threat.check_inputs(x + 5e-7)
    x[1, 0, 0, 0], x[1, 0, 0, 1] = -0.42, 2.81
    said = rf"input 1 is in \[-0.42, 2.81\], but {threat.spec_name()}.* allows \[0, 1\]; put the normalisation into the model"
    with pytest.raises(InputError, match=said):
        threat.check_inputs(x)
    type(threat)(eps=1.0, bounds=None).check_inputs(x)
    x[2] = math.nan
    with pytest.raises(InputError, match="input 2 has NaN"):
        type(threat)(eps=1.0, bounds=None).check_inputs(x)


@every_set
def test_gauge_is_the_norm_over_the_radius(threat):
    delta = noise(5, 1, 4, 4)
    norm = delta.flatten(1).norm(p=threat.order, dim=1)
    torch.testing.assert_close(threat.gauge(delta, pictures()), norm / threat.eps)
    nothing = threat.scaled(0.0)
    delta[0] = 0
    assert nothing.gauge(delta, pictures()).tolist() == [0.0] + [math.inf] * 4


@every_set
@pytest.mark.parametrize("size", [1e-30, 1e-18, 1e25])
def test_gauge_neither_overflows_nor_underflows(threat, size):
    delta = noise(5, 1, 4, 4, dtype=torch.float32) * size
    norm = delta.double().flatten(1).norm(p=threat.order, dim=1)
    torch.testing.assert_close(threat.gauge(delta, pictures()).double(), norm / threat.eps, rtol=1e-6, atol=0)


@every_set
def test_violation_is_the_distance_from_the_box(threat):
    x = pictures()
    delta = torch.zeros_like(x)
    delta[1, 0, 0, 0] = 1.25 - x[1, 0, 0, 0]
    delta[2, 0, 0, 0] = -0.5 - x[2, 0, 0, 0]
    delta[3] = 1 - x[3] + 1e-16
    expected = torch.tensor([0, 0.25, 0.5, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(threat.violation(delta, x), expected, rtol=0, atol=1e-15)
    assert (threat.violation(delta, x) > 0).tolist() == (expected > 0).tolist()
    assert not type(threat)(eps=1.0, bounds=None).violation(delta, x).any()
    assert not threat.contains(torch.full_like(x, math.nan), x).any()


@every_set
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_every_precision_keeps_to_the_set(threat, dtype):
    x, v = pictures(dtype=dtype), noise(5, 1, 4, 4, dtype=dtype)
    points = [
        threat.project(v, x),
        threat.linear_max(v, x),
        threat.sample(x),
        threat.project(threat.steepest(v, x, torch.zeros_like(x)), x),
    ]
    for point in points:
        assert point.dtype == dtype
        assert threat.contains(point, x, tol=0.0).all()
    support = threat.support(v[:, None], x)
    assert support.dtype == dtype
    exact = threat.support(v[:, None].double(), x.double())
    assert (support.double() >= exact * (1 - 1e-15)).all()
    assert (support.double() <= exact * (1 + 4 * torch.finfo(dtype).eps + 1e-5)).all()
    low, high = threat.hull(x)
    assert ((low <= 0) & (high >= 0)).all()


@every_set
def test_inputs_a_rounding_error_outside_of_the_box_have_no_room_there(threat):
    x = torch.tensor([[1 + 1e-7, -1e-7, 0.5]], dtype=torch.float64)
    threat.check_inputs(x)
    for point in (threat.project(torch.ones_like(x), x), threat.linear_max(torch.ones_like(x), x)):
        assert point[0, 0] == 0
        assert threat.contains(point, x, tol=0.0).all()
    assert threat.contains(torch.zeros_like(x), x, tol=0.0).all()
    assert threat.project(-torch.ones_like(x), x)[0, 1] == 0


@every_set
def test_a_radius_beyond_the_box_gives_the_box(threat):
    x, v = pictures(), 3 * noise(5, 1, 4, 4)
    for eps in (1e3, 1e30, 1e300):
        for dtype in (torch.float32, torch.float64):
            large = type(threat)(eps=eps)
            a, b = x.to(dtype), v.to(dtype)
            assert torch.equal(large.project(b, a), torch.clamp(b, -a, 1 - a))
            assert torch.equal(large.linear_max(b, a), torch.where(b > 0, 1 - a, -a))
            value = torch.maximum(-a * b, b * (1 - a)).flatten(1).sum(1, keepdim=True)
            torch.testing.assert_close(large.support(b[:, None], a), value, rtol=1e-5, atol=0)


@every_set
def test_a_radius_of_zero_allows_nothing(threat):
    x, v, nothing = pictures(), noise(5, 1, 4, 4), threat.scaled(0.0)
    for point in (nothing.project(v, x), nothing.linear_max(v, x), nothing.sample(x), nothing.steepest(v, x, v)):
        assert not point.any()
    assert not nothing.support(v[:, None], x).any()
    assert not nothing.support_bound(v[:, None], x).any()


@every_set
def test_batches_may_be_empty_and_inputs_flat(threat):
    empty = torch.zeros(0, 3, 2)
    assert threat.project(empty, empty).shape == (0, 3, 2)
    assert threat.linear_max(empty, empty).shape == (0, 3, 2)
    assert threat.sample(empty).shape == (0, 3, 2)
    assert threat.steepest(empty, empty, empty).shape == (0, 3, 2)
    assert threat.gauge(empty, empty).shape == (0,)
    assert threat.violation(empty, empty).shape == (0,)
    assert threat.support(torch.zeros(0, 4, 3, 2), empty).shape == (0, 4)
    assert threat.support(torch.zeros(2, 0, 3), torch.zeros(2, 3)).shape == (2, 0)
    assert threat.contains(empty, empty).shape == (0,)
    threat.check_inputs(empty)
    scalar = torch.tensor([0.2, 0.9])
    assert threat.project(scalar + 5, scalar).shape == (2,)


@every_set
def test_a_radius_for_each_example(threat):
    x, v = pictures(), noise(5, 1, 4, 4)
    factors = torch.tensor([1.0, 0.5, 0.0, 2.0, 1.0])
    each = threat.per_example(factors)
    for name in ("project", "linear_max", "gauge", "violation"):
        rows = [getattr(threat.scaled(f), name)(v[[i]], x[[i]]) for i, f in enumerate(factors.tolist())]
        torch.testing.assert_close(getattr(each, name)(v, x), torch.cat(rows), rtol=0, atol=1e-15)
    streams = ExampleRNG(3, torch.arange(5))
    steps = [
        threat.scaled(f).steepest(v[[i]], x[[i]], 0 * x[[i]], rng=streams.take(torch.tensor([i])))
        for i, f in enumerate(factors.tolist())
    ]
    torch.testing.assert_close(each.steepest(v, x, 0 * x, rng=streams), torch.cat(steps), rtol=0, atol=1e-15)
    part = each.select(factors > 0.7)
    torch.testing.assert_close(part.project(v[factors > 0.7], x[factors > 0.7]), each.project(v, x)[factors > 0.7])
    with pytest.raises(InputError, match="5 radii were given for 2 examples"):
        each.project(v[:2], x[:2])
    with pytest.raises(InputError, match="input 0 is in"):
        each.check_inputs(x + 3)


@every_set
def test_random_points_reach_the_boundary_often_and_spread(threat):
    x = pictures(200)
    points = threat.sample(x)
    assert threat.contains(points, x, tol=0.0).all()
    gauge = threat.gauge(points, x)
    assert (gauge > 0.999).double().mean() > 0.3
    assert points.flatten(1).std(0).min() > 0
    assert torch.equal(points, threat.sample(x))
    assert torch.equal(points[3:5], threat.sample(x[3:5], rng=ExampleRNG(0, torch.tensor([3, 4]))))


@every_set
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_size_of_a_direction_changes_nothing(threat, dtype):
    x, c = pictures(dtype=dtype), noise(5, 1, 4, 4, dtype=dtype)
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-13}
    for scale in (2.0**-100, 2.0**-40, 2.0**40, 2.0**100):
        torch.testing.assert_close(threat.linear_max(c * scale, x), threat.linear_max(c, x), **close)
        other = threat.scaled(scale)
        assert other.contains(other.project(c, x), x, tol=0.0).all()
        steps = [threat.steepest(k * c, x, torch.zeros_like(x)) for k in (1, scale)]
        torch.testing.assert_close(*steps, **close)


@pytest.mark.parametrize("eps", [1e-6, 1.5, 20.0])
def test_long_inputs_lose_no_digits(eps):
    x, v = pictures(2, shape=(5001,)), noise(2, 5001)
    threat = L2(eps=eps)
    single = threat.project(v.float(), x.float()), threat.linear_max(v.float(), x.float())
    double = threat.project(v, x), threat.linear_max(v, x)
    for one, other in zip(single, double, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=0, atol=1e-5 * eps)
        assert threat.contains(one, x.float(), tol=0.0).all()


def test_the_steepest_step_of_l1_spreads_over_coordinates_that_can_move():
    x = torch.tensor([[1.0, 0.0, 0.5, 0.5, 0.2, 0.9]], dtype=torch.float64)
    gradient = torch.tensor([[9.0, -8.0, 3.0, 2.0, -4.0, 0.5]], dtype=torch.float64)
    step = L1(eps=0.6, k1=2, k2=2).steepest(gradient, x, torch.zeros_like(x))
    # the white pixel cannot get brighter, nor the black one darker
    torch.testing.assert_close(step, torch.tensor([[0, 0, 0.3, 0, -0.3, 0]], dtype=torch.float64))
    moved = torch.tensor([[0, 0, 0.5, 0, 0, 0]], dtype=torch.float64)
    step = L1(eps=0.6, k1=2, k2=2).steepest(gradient, x, moved)
    torch.testing.assert_close(step, torch.tensor([[0, 0, 0, 0.3, -0.3, 0]], dtype=torch.float64))
    # fewer can move than k: those share the radius
    step = L1(eps=0.6, k1=20, k2=20).steepest(gradient, x, torch.zeros_like(x))
    torch.testing.assert_close(step, torch.tensor([[0, 0, 0.15, 0.15, -0.15, 0.15]], dtype=torch.float64))
    assert not L1(eps=0.6).steepest(torch.zeros_like(x), x, torch.zeros_like(x)).any()
    # a radius below the rounding of the inputs still moves
    small = L1(eps=1e-9, k1=1, k2=1).steepest(gradient.float(), x.float(), torch.zeros_like(x).float())
    torch.testing.assert_close(small.double(), torch.tensor([[0, 0, 0, 0, -1e-9, 0]], dtype=torch.float64))


def test_the_steepest_step_of_l1_draws_k_for_each_example():
    x = torch.full((400, 50), 0.5, dtype=torch.float64)
    threat = L1(eps=1.0, k1=3, k2=6)
    counts = threat.steepest(noise(400, 50), x, 0 * x, rng=ExampleRNG(1, torch.arange(400))).ne(0).sum(1)
    assert sorted(set(counts.tolist())) == [3, 4, 5, 6]
    again = threat.steepest(noise(400, 50)[7:9], x[7:9], 0 * x[7:9], rng=ExampleRNG(1, torch.tensor([7, 8])))
    assert again.ne(0).sum(1).tolist() == counts[7:9].tolist()


@pytest.mark.parametrize("threat", SETS[:2], ids=str)
def test_the_whole_steepest_step_from_the_example_projects_to_linear_max(threat):
    """One full step of projected steepest ascent is FGSM, box or no box."""
    x, gradient = pictures(), noise(5, 1, 4, 4)
    step = threat.steepest(gradient, x, torch.zeros_like(x))
    torch.testing.assert_close(threat.project(step, x), threat.linear_max(gradient, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("threat", SETS[:2], ids=str)
def test_the_box_does_not_bend_the_steepest_step(threat):
    """A share of a step that the box had cut would creep towards the bound; so the box is left to the projection."""
    x, delta, gradient = pictures(), threat.sample(pictures()), noise(5, 1, 4, 4)
    free = type(threat)(eps=threat.eps, bounds=None).linear_max(gradient, x)
    step = threat.steepest(gradient, x, delta)
    shape = (-1, 1, 1, 1)
    length = (step * free).flatten(1).sum(1) / (free * free).flatten(1).sum(1)
    torch.testing.assert_close(step, length.view(shape) * free, rtol=1e-9, atol=1e-12)
    assert (length >= 1 - 1e-12).all()


def test_uniform_points_of_linf_are_uniform_in_the_ball_and_then_cut_by_the_box():
    """Their distribution function is that of U(−ε, ε); ``sample`` has a fifth of its coordinates on faces instead."""
    x = torch.full((40, 500), 0.5, dtype=torch.float64)
    drawn = Linf(eps=0.2).uniform(x).flatten().sort().values
    expected = (drawn / 0.2 + 1) / 2
    steps = torch.arange(1, len(drawn) + 1, dtype=torch.float64) / len(drawn)
    # 1.63 / √n is Kolmogorov's bound at one percent
    assert (steps - expected).abs().max() < 1.63 / len(drawn) ** 0.5
    assert (drawn.abs() < 0.2).all()
    near = Linf(eps=0.2).uniform(torch.full_like(x, 0.1))
    assert torch.equal(near, Linf(eps=0.2, bounds=None).uniform(torch.full_like(x, 0.1)).clamp(min=-0.1))
    wide = Linf(eps=0.2).sample(x)
    assert float((wide.abs() >= 0.2 - 1e-12).double().mean()) == pytest.approx(0.2, abs=0.02)
    assert torch.equal(L2(eps=0.2).uniform(x), L2(eps=0.2).sample(x))


def test_uniform_points_keep_to_masks_and_to_radii_of_their_own(tmp_path):
    x = torch.full((3, 1, 4, 4), 0.5, dtype=torch.float64)
    mask = torch.zeros(1, 4, 4)
    mask[0, 1] = 1
    file = tmp_path / "mask.npy"
    np.save(file, mask.numpy())
    threat = inradius.make(f"linf(eps=0.2, mask={str(file)!r})")
    drawn = threat.uniform(x)
    assert threat.contains(drawn, x, tol=0.0).all()
    assert (drawn[:, 0, 1] != 0).all()
    own = Linf(eps=0.2).per_example(torch.tensor([1.0, 0.5, 0.0])).uniform(x)
    torch.testing.assert_close(own, Linf(eps=0.2).uniform(x) * torch.tensor([1.0, 0.5, 0.0]).view(-1, 1, 1, 1))
