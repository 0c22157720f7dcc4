"""The minimum-norm direction: the weights are those of the quadratic programme, and the gradient is their mixture."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import inradius
from inradius.processes import Processes
from inradius.training.slots import Average, Direction
from inradius_training.directions.least_norm import LeastNorm
from inradius_training.directions.min_norm import MinNorm, min_norm_weights, simplex_weights

LAW = settings(max_examples=60, deadline=None, derandomize=True)


class Alone:
    """A run of one process, as a direction sees it."""

    processes = Processes(None, torch.device("cpu"))


class Other(Alone):
    """A run whose other process has the same gradients in other rows."""

    class processes:  # noqa: N801
        @staticmethod
        def sum(value):
            return value + torch.full_like(value, 0.5)


def gradients(rows, size, seed, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, size, generator=generator, dtype=torch.float64) + shift


@given(st.integers(1, 10), st.integers(1, 12), st.integers(0, 2**31), st.sampled_from([0.0, 1.0, 10.0]))
@LAW
def test_the_optimality_conditions_hold(rows, size, seed, shift):
    given_ = gradients(rows, size, seed, shift)
    weights = min_norm_weights(given_)
    assert bool((weights >= 0).all())
    assert float(weights.sum()) == pytest.approx(1, abs=1e-12)
    point = weights @ given_
    # the point is nearest to 0 iff no gradient has a smaller product with it than it has with itself
    assert float((given_ @ point).min()) >= float(point @ point) - 1e-11 * float(given_.square().sum(1).max())


@given(st.integers(2, 6), st.integers(1, 8), st.integers(0, 2**31), st.floats(1e-6, 1e6))
@LAW
def test_repeated_rows_and_scale_change_no_point(rows, size, seed, factor):
    given_ = gradients(rows, size, seed, 0.5)
    point = min_norm_weights(given_) @ given_
    again = torch.cat([given_, given_.flip(0), given_.mean(0, keepdim=True)])
    torch.testing.assert_close(min_norm_weights(again) @ again, point, rtol=1e-6, atol=1e-7)
    scaled = factor * given_
    torch.testing.assert_close(min_norm_weights(scaled) @ scaled, factor * point, rtol=1e-6, atol=1e-7 * factor)


@pytest.mark.parametrize(
    ("rows", "size", "shift"), [(2, 1, 0.0), (3, 2, 0.0), (5, 40, 0.3), (10, 4, 0.0), (10, 200, 1.0)]
)
def test_cvxpy_finds_no_smaller_norm(rows, size, shift):
    import cvxpy

    given_ = gradients(rows, size, 7, shift)
    a = cvxpy.Variable(rows, nonneg=True)
    cvxpy.Problem(cvxpy.Minimize(cvxpy.norm(given_.numpy().T @ a)), [cvxpy.sum(a) == 1]).solve(solver=cvxpy.CLARABEL)
    ours, theirs = (float((weights @ given_).norm()) for weights in (min_norm_weights(given_), torch.tensor(a.value)))
    assert ours <= theirs + 1e-9
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "gram", [torch.zeros(3, 3), torch.ones(4, 4), torch.eye(5), 1e-30 * torch.eye(2), 1e30 * torch.eye(2)]
)
def test_degenerate_matrices_have_weights(gram):
    weights = simplex_weights(gram)
    assert float(weights.sum()) == pytest.approx(1)
    least = (
        1 / len(gram) if len({float(v) for v in gram.flatten()}) > 1 else float(gram[0, 0]) / float(gram.amax() or 1)
    )
    assert float(weights @ gram.double() @ weights) == pytest.approx(least * float(gram.amax()), rel=1e-9, abs=1e-60)


def test_counterexample_two_of_the_paper():
    """Each single gradient is an ascent direction of the larger loss, and their minimum-norm mixture descends."""
    pair = torch.tensor([[1.0, 0.0], [-1.0, -1.0]], dtype=torch.float64)
    pair[1] /= math.sqrt(2)
    weights = min_norm_weights(pair)
    torch.testing.assert_close(weights, torch.tensor([0.5, 0.5], dtype=torch.float64))
    along = [float((pair @ -direction).max() / direction.norm()) for direction in (*pair, weights @ pair)]
    assert along == pytest.approx([math.sqrt(0.5), math.sqrt(0.5), -math.sqrt((1 - math.sqrt(0.5)) / 2)])


def lesson(rows=3, seed=0, unused=False):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    x = torch.randn(rows, 6, 4, dtype=torch.float64)
    losses = (model(x) - 2 * torch.randn(rows, 1, 2, dtype=torch.float64)).square().sum(-1) / 6
    parameters = list(model.parameters())
    if unused:
        parameters.append(nn.Parameter(torch.zeros(2, dtype=torch.float64)))
    flat = torch.stack(
        [
            torch.cat(
                [g.flatten() for g in torch.autograd.grad(row.sum(), list(model.parameters()), retain_graph=True)]
            )
            for row in losses
        ]
    )
    return losses, parameters, flat


def left_in(parameters):
    return torch.cat([parameter.grad.flatten() for parameter in parameters])


def test_the_mixture_is_left_in_grad_and_is_no_plain_mean():
    losses, parameters, flat = lesson()
    MinNorm()(losses, parameters, Alone)
    expected = min_norm_weights(flat) @ flat
    torch.testing.assert_close(left_in(parameters), expected)
    losses, parameters, _ = lesson()
    Average()(losses, parameters, Alone)
    assert float(left_in(parameters).norm()) > 1.01 * float(expected.norm())


def test_no_loss_rises_along_the_direction():
    losses, parameters, flat = lesson()
    MinNorm()(losses, parameters, Alone)
    assert bool((flat @ left_in(parameters) > 0).all())


def test_of_one_perturbation_it_is_its_gradient():
    losses, parameters, flat = lesson(rows=1, unused=True)
    MinNorm()(losses, parameters, Alone)
    torch.testing.assert_close(left_in(parameters[:-1]), flat[0])
    assert not parameters[-1].grad.any()


def test_normalised_it_has_length_one_and_where_there_is_no_descent_it_is_zero():
    losses, parameters, flat = lesson()
    MinNorm(normalize=True)(losses, parameters, Alone)
    assert float(left_in(parameters).norm()) == pytest.approx(1)
    torch.testing.assert_close(
        left_in(parameters) * (min_norm_weights(flat) @ flat).norm(), min_norm_weights(flat) @ flat
    )
    for direction in (MinNorm(), MinNorm(normalize=True)):
        weight = nn.Parameter(torch.ones(2, dtype=torch.float64))
        direction(torch.stack([weight, -weight]), [weight], Alone)
        assert not weight.grad.any()


def test_gradients_are_summed_over_the_processes_before_the_weights_are_sought():
    losses, parameters, flat = lesson()
    MinNorm()(losses, parameters, Other)
    summed = flat + 0.5
    torch.testing.assert_close(left_in(parameters), min_norm_weights(summed) @ summed)
    assert not torch.allclose(min_norm_weights(summed), min_norm_weights(flat), atol=1e-3)


def test_the_shortest_gradient_is_left_alone_of_all_rows():
    losses, parameters, flat = lesson()
    LeastNorm()(losses, parameters, Alone)
    shortest = flat[flat.norm(dim=1).argmin()]
    torch.testing.assert_close(left_in(parameters), shortest)
    losses, parameters, flat = lesson()
    LeastNorm()(losses, parameters, Other)
    summed = flat + 0.5
    torch.testing.assert_close(left_in(parameters), summed[summed.norm(dim=1).argmin()])


def test_frozen_weights_are_left_alone():
    losses, parameters, _ = lesson()
    parameters[1].requires_grad_(False)
    MinNorm()(losses, parameters, Alone)
    assert parameters[1].grad is None


@pytest.mark.parametrize("spec", ["min_norm()", "min_norm(normalize=True)", "least_norm()"])
def test_specs_build_equal_directions(spec):
    direction = inradius.make(spec, Direction)
    assert inradius.make(str(direction)) == direction == inradius.make(direction.spec(full=True))


def test_wrong_parameters_are_named():
    with pytest.raises(inradius.SpecError, match="normalize=2 is not allowed"):
        inradius.make("min_norm(normalize=2)")


@pytest.mark.parametrize("spec", ["min_norm()", "min_norm(normalize=True)", "least_norm()"])
@pytest.mark.parametrize("wrong", [math.inf, -math.inf, math.nan])
def test_a_gradient_that_is_not_finite_is_left_for_the_run_to_judge(spec, wrong):
    weight = nn.Parameter(torch.ones(3, dtype=torch.float64))
    losses = torch.stack([weight.sum(), (weight * torch.tensor([1.0, wrong, 0.0])).sum(), -weight[0]])[:, None]
    inradius.make(spec, Direction)(losses, [weight], Alone)
    assert not weight.grad.isfinite().all()
