"""Regions against exact fractions: their bounds, their points, and what a region of many examples says of one."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from exact_fractions import DTYPES, FLUSH, LAWS, SEEDS, at_least, enclosed, flushing, fractions, gains, numbers
from hypothesis import given
from hypothesis import strategies as st

from inradius import InputError
from inradius.sets.region import BoxRegion

SIZES = st.integers(1, 12)


def drawn(seed, name, size, count=1):
    """Inputs, directions, points, and a region around the inputs, (count, size) each."""
    rng = np.random.default_rng(seed)
    x, c, v = (numbers(rng, name, count, size, top=10) for _ in range(3))
    return (
        x,
        c,
        v,
        BoxRegion(-numbers(rng, name, count, size, top=10).abs(), numbers(rng, name, count, size, top=10).abs()),
    )


def sides(region):
    """The sides of a region of one example, as pairs of fractions."""
    return list(zip(fractions(region.low), fractions(region.high), strict=True))


@DTYPES
@FLUSH
@LAWS
@given(seed=SEEDS, size=SIZES)
def test_bounds_are_above_the_exact_ones_and_near_them(name, flush, seed, size):
    x, c, _, region = drawn(seed, name, size)
    with flushing(flush):
        up, (low, high) = region.support(c[:, None], x), region.span(c[:, None], x)
    prices, room, info = fractions(c), sides(region), torch.finfo(x.dtype)
    truth = sum(gains(prices, room))
    at_least(up, truth)
    at_least(high, truth)
    at_least(-low, sum(gains([-price for price in prices], room)))
    enclosed(region, x[0], flush, room)
    if truth < Fraction(info.max) / 10:
        reach = max(1, *(b - a for a, b in room)) + sum(map(abs, prices))
        assert Fraction(float(up)) <= truth * (1 + 40 * Fraction(info.eps)) + 40 * size * reach * Fraction(info.tiny)


@DTYPES
@LAWS
@given(seed=SEEDS, size=SIZES)
def test_points_lie_in_the_region_exactly(name, seed, size):
    x, c, v, region = drawn(seed, name, size, 3)
    projected, best = region.project(v, x), region.linear_max(c, x)
    for point in (projected, best, region.sample(x)):
        assert bool(((region.low <= point) & (point <= region.high)).all())
        assert bool((region.gauge(point, x) <= 1).all() & (region.violation(point, x) == 0).all())
    assert torch.equal(projected, torch.minimum(torch.maximum(v, region.low), region.high))
    assert torch.equal(best, torch.where(c > 0, region.high, torch.where(c < 0, region.low, 0)))


@LAWS
@given(seed=SEEDS, size=SIZES)
def test_a_region_in_float64_is_bounded_in_float32_from_outside_and_met_from_inside(seed, size):
    _, c, v, region = drawn(seed, "float64", size)
    c, v = (side.clamp(-1e30, 1e30).float() for side in (c, v))
    low, high = region.hull(torch.zeros(1, size))
    point = region.project(v, torch.zeros(1, size))
    for k, (least, most) in enumerate(sides(region)):
        at_least(high[0, k], most)
        at_least(-low[0, k], -least)
        assert least <= Fraction(float(point[0, k])) <= most
    at_least(region.support(c[:, None], torch.zeros(1, size)), sum(gains(fractions(c), sides(region))))


@DTYPES
@FLUSH
@LAWS
@given(seed=SEEDS, size=SIZES)
def test_a_region_between_numbers_holds_them(name, flush, seed, size):
    rng = np.random.default_rng(seed)
    ends = torch.stack([numbers(rng, name, 1, size, top=10) for _ in range(3)]).sort(0).values
    with flushing(flush):
        region = BoxRegion.between(ends[0], ends[2], ends[1])
        low, high = region.hull(ends[1])
    for k in range(size):
        lower, x, upper = (Fraction(float(side[0, k])) for side in ends)
        at_least(high[0, k], upper - x)
        at_least(-low[0, k], x - lower)


@LAWS
@given(seed=SEEDS, size=SIZES)
def test_each_example_has_its_own_box(seed, size):
    x, c, v, region = drawn(seed, "float64", size, 4)
    for row in range(4):
        one, at = region.select(torch.tensor([row])), slice(row, row + 1)
        assert torch.equal(region.project(v, x)[at], one.project(v[at], x[at]))
        assert torch.equal(region.support(c[:, None], x)[at], one.support(c[at, None], x[at]))
    mask = torch.tensor([True, False, True, False])
    assert torch.equal(region.select(mask).low, region.low[mask])


def test_the_description_in_cvxpy_is_the_box():
    import cvxpy as cp

    region = BoxRegion(torch.tensor([[-1.0, -2.0]]), torch.tensor([[3.0, 0.0]]))
    delta = cp.Variable(2)
    problem = cp.Problem(cp.Maximize(delta[0] - 2 * delta[1]), region.constraints(delta, torch.zeros(2)))
    assert problem.solve() == pytest.approx(7)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (torch.ones(1, 2), torch.ones(1, 2), "do not enclose"),
        (torch.full((1, 2), torch.nan), torch.ones(1, 2), "do not enclose"),
        (torch.zeros(1, 2), torch.ones(1, 3), "one shape"),
        (torch.zeros(2), torch.ones(2), "one shape"),
        (torch.zeros(1, 2, dtype=torch.int64), torch.ones(1, 2), "floating-point"),
        (0.0, 1.0, "floating-point"),
    ],
)
def test_sides_that_are_no_region_are_refused(low, high, told):
    with pytest.raises(InputError, match=told):
        BoxRegion(low, high)


def test_other_inputs_than_the_region_has_are_refused():
    region = BoxRegion(-torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(InputError, match="one shape"):
        region.hull(torch.zeros(3, 3))
