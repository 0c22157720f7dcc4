"""The sides of a region in floating point: numbers within the exact box, and a box around it."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from exact_fractions import laws
from hypothesis import given
from hypothesis import strategies as st

from inradius import InputError
from inradius.verification.region import Region

DTYPES = [torch.float32, torch.float64]
ENDS = st.lists(st.tuples(st.fractions(-100, 100), st.fractions(0, 1)), min_size=4, max_size=4)


def exact(tensor):
    return [Fraction(value) for value in tensor.flatten().tolist()]


@pytest.mark.parametrize("dtype", DTYPES)
@laws(60)
@given(ends=ENDS, seed=st.integers(0, 99))
def test_points_within_lie_in_the_exact_box_and_the_box_around_holds_it(dtype, ends, seed):
    lower, upper = [a for a, _ in ends], [a + b for a, b in ends]
    region = Region.of(lower, upper, (2, 2), dtype)
    low, high = region.threat.hull(region.x)
    for x, down, up, least, most in zip(*map(exact, (region.x, low, high)), lower, upper, strict=True):
        assert x + down <= least
        assert most <= x + up
    points = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, 2, 2)) * 100).to(dtype)
    for point in region.inside(torch.cat([points, region.x])):
        for value, least, most, first, last in zip(
            exact(point), lower, upper, exact(region.inner[0]), exact(region.inner[1]), strict=True
        ):
            assert least <= value <= most or first > last


def test_a_number_that_the_type_does_not_hold_has_no_point_within():
    region = Region.of([Fraction(1, 10)], [Fraction(1, 10)], (1,), torch.float32)
    assert bool((region.inner[0] > region.inner[1]).all())
    assert bool((region.outer[0] < region.outer[1]).all())


def test_bounds_beyond_the_range_are_refused():
    with pytest.raises(InputError, match="beyond the range"):
        Region.of([Fraction(0)], [Fraction(10) ** 40], (1,), torch.float32)
    assert Region.of([Fraction(0)], [Fraction(10) ** 40], (1,), torch.float64).x.item() == 5e39


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_box_as_wide_as_the_type_has_finite_sides_around_its_middle(dtype):
    most = Fraction(torch.finfo(dtype).max)
    region = Region.of([-most, Fraction(0)], [most, most], (2,), dtype)
    low, high = region.threat.hull(region.x)
    assert bool(torch.cat([region.x, low, high]).isfinite().all())
    assert region.x[0, 0] == 0
    for x, down, up, least in zip(*map(exact, (region.x, low, high)), (-most, Fraction(0)), strict=True):
        assert x + down <= least
        assert most <= x + up
