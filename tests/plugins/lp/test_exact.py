"""The ℓp oracles against exact arithmetic, on directions that span 20 orders of magnitude, ties, zeros and 0/1 pixels."""

import lp_exact
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inradius.testing import directions, inputs, perturbations
from inradius_lp import L1, L2, Linf

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)
SHAPE = (6,)
# relative error of values; the float32 figure is four thousand times the distance of two numbers there, less than 1e-5
TOLERANCE = {torch.float64: 1e-13, torch.float32: 6e-6}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def sets():
    radius = st.sampled_from([0.0, 0.1, 0.5, 1.2, 3.0, 1e-6, 50.0, 1 / 3])
    bounds = st.sampled_from([(0.0, 1.0), (0.0, 1.0), None])
    return st.builds(lambda kind, eps, box: kind(eps=eps, bounds=box), st.sampled_from([Linf, L2, L1]), radius, bounds)


def cases():
    return st.tuples(sets(), inputs(SHAPE, batch=1), directions(SHAPE, batch=1), perturbations(SHAPE, batch=1))


@DTYPES
@SETTINGS
@given(case=cases())
def test_support_is_above_the_truth_and_close_to_it(dtype, case):
    threat, x, c, _ = case
    x, c = x.to(dtype), c.to(dtype)
    values, bounds = threat.support(c, x), threat.support_bound(c, x)
    for k in range(c.shape[1]):
        truth = lp_exact.support(threat, c[:, k], x)
        assert truth <= lp_exact.Fraction(float(values[0, k]))
        assert truth <= lp_exact.Fraction(float(bounds[0, k]))
        assert float(values[0, k]) <= float(truth) * (1 + TOLERANCE[dtype])


@DTYPES
@SETTINGS
@given(case=cases())
def test_linear_max_reaches_the_support_inside_the_set(dtype, case):
    threat, x, c, _ = case
    x, c = x.to(dtype), c[:, 0].to(dtype)
    point = threat.linear_max(c, x)
    truth = lp_exact.support(threat, c, x)
    assert lp_exact.pairing(c, point) >= float(truth) * (1 - TOLERANCE[dtype])
    assert threat.contains(point, x, tol=0.0).all()


@DTYPES
@SETTINGS
@given(case=cases())
def test_projection_is_the_nearest_point(dtype, case):
    threat, x, _, v = case
    x, v = x.to(dtype), v.to(dtype)
    point = threat.project(v, x)
    truth = lp_exact.project(threat, v, x)
    # what the clipped coordinates leave of an ℓ2 radius is a root, known to half of the digits
    tolerance = TOLERANCE[dtype] if threat.order != 2 else torch.finfo(dtype).eps ** 0.5
    assert (point[0].double() - truth).abs().max() <= tolerance * threat.eps
    assert threat.contains(point, x, tol=0.0).all()
    assert torch.equal(threat.project(point, x), point)


@SETTINGS
@given(case=cases(), factor=st.floats(-3, 3))
def test_projection_satisfies_the_variational_inequality(case, factor):
    threat, x, c, v = case
    point = threat.project(v, x)
    away = (v - point).double()
    others = [threat.linear_max(away, x), threat.project(factor * v, x), threat.sample(x), torch.zeros_like(x)]
    others += [threat.linear_max(direction, x) for direction in c.unbind(1)]
    for other in others:
        assert (away * (other - point)).sum() <= 1e-12 * away.abs().sum() * max(threat.eps, 1e-300)


def test_the_projection_is_not_the_clipped_projection_on_the_ball():
    # a white pixel cannot get brighter: the radius that it would have used goes to the others
    x = torch.tensor([[1.0, 0.5, 0.5]], dtype=torch.float64)
    v = torch.tensor([[1.0, 0.4, 0.3]], dtype=torch.float64)
    for threat, order in ((L2(eps=0.4), 2), (L1(eps=0.4), 1)):
        free = type(threat)(eps=0.4, bounds=None).project(v, x)
        naive = torch.minimum(torch.maximum(free, -x), 1 - x)
        exact = threat.project(v, x)
        assert naive.norm(p=order) < 0.39
        assert exact.norm(p=order) > 0.399
        assert (v - exact).norm() < (v - naive).norm() - 0.04
    assert torch.equal(Linf(eps=0.2).project(v, x), torch.tensor([[0.0, 0.2, 0.2]], dtype=torch.float64))
