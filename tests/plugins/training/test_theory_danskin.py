"""Danskin's theorem, the corollary that does not follow from it, and the descent direction that does."""

import math
from itertools import pairwise

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import nn

import inradius
from inradius import Dataset, ThreatModel
from inradius.training.losses import cross_entropy
from inradius_training.directions.min_norm import min_norm_weights

# Latorre et al. 2023, counterexample 2
U = torch.tensor([1.0, 0.0], dtype=torch.float64)
V = torch.tensor([-1.0, -1.0], dtype=torch.float64) / math.sqrt(2)

seeds = st.integers(0, 2**32 - 1)


def draws(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, rng):
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def one_sided(phi, theta, gamma, step):
    """(φ(θ + tγ) − φ(θ)) / t, the limit of which for t → 0+ is the directional derivative."""
    return float(phi(theta + step * gamma) - phi(theta)) / step


def steepest(gradients):
    """−G a of the smallest norm, over the simplex: rows (k, n) -> (n,)."""
    return -(min_norm_weights(gradients) @ gradients)


@given(seed=seeds, tied=st.integers(1, 4), below=st.integers(0, 3))
def test_the_derivative_is_the_largest_over_the_maximisers(seed, tied, below):
    """Of φ = max_i of quadratics: exact up to half the curvature times the step, in any direction, however many are tied."""
    rng = draws(seed)
    slopes, matrices = normal(tied + below, 5, rng=rng), normal(tied + below, 5, 5, rng=rng)
    offsets = torch.cat([torch.zeros(tied), -0.1 - torch.rand(below, generator=rng)]).double()
    gamma = torch.nn.functional.normalize(normal(5, rng=rng), dim=0)

    def phi(theta):
        return (slopes @ theta + torch.einsum("i,kij,j->k", theta, matrices, theta) + offsets).amax()

    step = 1e-5
    curvature = float(torch.einsum("i,kij,j->k", gamma, matrices, gamma).abs().amax())
    derivative = float((slopes[:tied] @ gamma).amax())
    found = one_sided(phi, torch.zeros(5).double(), gamma, step)
    assert abs(found - derivative) <= step * curvature + 1e-9


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 2)).double()


def batch(count=8, seed=0):
    rng = draws(seed)
    x = torch.rand(count, 6, generator=rng, dtype=torch.float64)
    return Dataset.of(x, torch.randint(2, (count,), generator=rng), bounds=None)


def corners(eps):
    """All corners of the cube, where a convex function of δ has its maximum, (64, 6)."""
    return eps * torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 6)


def robust_loss(model, data, eps):
    """The mean over the examples of max_δ CE, exact for a linear model in ℓ∞."""
    logits = model(data.inputs[:, None] + corners(eps))
    losses = cross_entropy(logits.movedim(1, 0), data)
    return losses.amax(0).mean()


@pytest.mark.parametrize("attack", ["fgsm()", "pgd(steps=10, keep_maximising=True)"])
def test_with_one_maximiser_the_gradient_of_adversarial_training_is_that_of_the_robust_loss(attack):
    model, data, eps = network(), batch(), 0.1
    found = inradius.make(attack)(
        model, data.inputs, data.labels, inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
    )
    loss = cross_entropy(model(data.inputs + found.delta), data).mean()
    torch.testing.assert_close(loss, robust_loss(model, data, eps), rtol=0, atol=1e-12)
    weight = model[0].weight
    (gradient,) = torch.autograd.grad(loss, weight)
    value = loss.item()
    rng, start, step = draws(1), weight.detach().clone(), 1e-6
    for _ in range(5):
        gamma = normal(2, 6, rng=rng)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight.copy_(start + sign * step * gamma)
                values.append(float(robust_loss(model, data, eps)))
        # both sides agree: where there is one maximiser, φ is differentiable
        slope = float((gradient * gamma).sum())
        assert (values[0] - value) / step == pytest.approx(slope, abs=1e-5)
        assert (value - values[1]) / step == pytest.approx(slope, abs=1e-5)


def test_where_a_weight_is_zero_one_maximiser_says_too_little():
    """Two classes whose weights agree in the first input: no δ₁ matters at θ, any of them matters next to it."""
    model, eps = nn.Sequential(nn.Linear(6, 2, bias=False)).double(), 0.1
    weight = model[0].weight
    with torch.no_grad():
        weight[1, 0] = weight[0, 0]
    data = Dataset.of(torch.zeros(1, 6, dtype=torch.float64), torch.tensor([0]), bounds=None)
    gradients = []
    for start in (eps, -eps):
        delta = eps * (weight[1] - weight[0]).detach().sign()
        delta[0] = start
        (gradient,) = torch.autograd.grad(cross_entropy(model(delta[None]), data).mean(), weight)
        gradients.append(gradient.flatten())
    rng, here = draws(0), weight.detach().clone()

    def phi(theta):
        with torch.no_grad():
            weight.copy_(theta.view(2, 6))
            return robust_loss(model, data, eps)

    for _ in range(20):
        gamma = normal(12, rng=rng)
        slopes = torch.stack(gradients) @ gamma
        found = one_sided(phi, here.flatten(), gamma, 1e-7)
        assert found == pytest.approx(float(slopes.amax()), abs=1e-5)
        assert float(slopes.amin()) < float(slopes.amax())


def test_counterexample_1_no_maximiser_gives_a_descent():
    """φ(θ) = max_{|δ| ≤ 1} θ δ = |θ| at 0: the derivative is 1 along −∇g = −1 and along +1, at a minimum."""
    for gamma in (-1.0, 1.0):
        assert one_sided(abs, 0.0, gamma, 1e-3) == pytest.approx(1.0)
    both = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    assert float(steepest(both)) == 0


def counterexample_2(theta):
    """max over [0, 1] of δ ⟨θ, u⟩ + (1 − δ) ⟨θ, v⟩ + δ (δ − 1): convex in δ, so at 0 or 1."""
    return torch.stack([theta @ U, theta @ V]).amax()


@pytest.mark.parametrize(
    ("gamma", "derivative"),
    [(-U, 1 / math.sqrt(2)), (-V, 1 / math.sqrt(2)), (-(U + V), 1 / math.sqrt(2) - 1)],
    ids=["-u", "-v", "-(u+v)"],
)
def test_counterexample_2_each_gradient_ascends_and_their_mean_descends(gamma, derivative):
    assert derivative == pytest.approx({True: 0.7071, False: -0.2929}[derivative > 0], abs=1e-4)
    formula = float((torch.stack([U, V]) @ gamma).amax())
    assert formula == pytest.approx(derivative, abs=1e-12)
    for step in (1e-2, 1e-6):
        assert one_sided(counterexample_2, torch.zeros(2).double(), gamma, step) == pytest.approx(derivative, abs=1e-9)


def test_counterexample_2_is_a_maximum_over_the_whole_interval():
    delta = torch.linspace(0, 1, 1001, dtype=torch.float64)
    for theta in (torch.zeros(2).double(), 0.1 * U, -0.1 * (U + V), normal(2, rng=draws(0))):
        values = delta * (theta @ U) + (1 - delta) * (theta @ V) + delta * (delta - 1)
        torch.testing.assert_close(values.amax(), counterexample_2(theta))


def test_counterexample_2_has_equal_weights_and_the_steepest_descent_is_their_norm():
    gradients = torch.stack([U, V])
    torch.testing.assert_close(min_norm_weights(gradients), torch.tensor([0.5, 0.5]).double(), rtol=0, atol=1e-9)
    direction = steepest(gradients)
    torch.testing.assert_close(direction, -(U + V) / 2)
    # per unit of length: −‖u + v‖ / 2 = −0.3827
    rate = float((gradients @ direction).amax() / direction.norm())
    assert rate == pytest.approx(-float((U + V).norm()) / 2, abs=1e-9)
    assert rate == pytest.approx(-math.sin(math.pi / 8), abs=1e-9)


@given(seed=seeds, columns=st.integers(1, 6), size=st.integers(1, 8))
def test_the_minimum_norm_point_is_the_steepest_descent(seed, columns, size):
    """min_{‖γ‖ ≤ 1} max_i ⟨γ, g_i⟩ = −min_a ‖G a‖, reached at −G a / ‖G a‖: Latorre et al. 2023, theorem 2."""
    rng = draws(seed)
    gradients = normal(columns, size, rng=rng) + 0.5
    direction = steepest(gradients)
    length = float(direction.norm())
    # no gradient is nearer than the minimum-norm point: ⟨g_i, v⟩ ≥ ‖v‖²
    assert float((gradients @ direction).amax()) <= -(length**2) + 1e-9
    for gamma in nn.functional.normalize(normal(200, size, rng=rng), dim=1):
        assert float((gradients @ gamma).amax()) >= -length - 1e-9


@given(count=st.integers(2, 30), spread=st.floats(0.3, 1.4))
def test_a_certificate_on_a_net_holds_between_its_points(count, spread):
    """Of infinitely many maximisers: max over an r-net < −L r is a descent for all, theorem 3 (g = ⟨θ, w(δ)⟩, L = 1)."""
    angles = torch.linspace(-spread, spread, 1001, dtype=torch.float64)
    slopes = torch.stack([angles.cos(), angles.sin()], dim=1)
    some = torch.linspace(-spread, spread, count, dtype=torch.float64)
    net = torch.stack([some.cos(), some.sin()], dim=1)
    gamma = nn.functional.normalize(steepest(net), dim=0)
    radius = spread / (count - 1)
    bound = float((net @ gamma).amax()) + radius
    assert float((slopes @ gamma).amax()) <= bound + 1e-9
    if count >= 10 and spread < 1.2:
        assert bound < 0


def toy(theta):
    """max over [0, 1] of δ ‖θ + e₂‖² + (1 − δ) ‖θ − e₂‖² = θ₁² + (|θ₂| + 1)², at least 1. Latorre et al. 2023, sec. 5.2."""
    return float(theta[0] ** 2 + (theta[1].abs() + 1) ** 2)


def toy_gradients(theta, deltas):
    return torch.stack([2 * theta[0].expand_as(deltas), 2 * theta[1] + 4 * deltas - 2], dim=1)


def ascent(theta, count, rng):
    """Ten steps of projected gradient ascent of length 1 from uniform starts, (count,)."""
    deltas = torch.rand(count, generator=rng, dtype=torch.float64)
    for _ in range(10):
        deltas = (deltas + 4 * theta[1]).clamp(0, 1)
    return deltas


def follow(count, rate, *, seed=0, normalise=False, find=ascent, start=(1.0, 0.0), steps=50):
    """The values of φ on the way, from a start where every δ is a maximiser."""
    rng, theta = draws(seed), torch.tensor(start, dtype=torch.float64)
    values = [toy(theta)]
    for step in range(1, steps + 1):
        direction = steepest(toy_gradients(theta, find(theta, count, rng)))
        if normalise and direction.norm() > 0:
            direction = direction / direction.norm()
        theta = theta + rate(step) * direction
        values.append(toy(theta))
    return values


def increases(values):
    return sum(after > before + 1e-9 for before, after in pairwise(values))


RATES = {"0.5 / sqrt(k)": lambda step: 0.5 / math.sqrt(step), "0.1": lambda _: 0.1}


@pytest.mark.parametrize(("rate", "ends"), [("0.5 / sqrt(k)", 1.157), ("0.1", 1.235)])
def test_toy_a_single_maximiser_never_comes_to_rest(rate, ends):
    found = [follow(1, RATES[rate], seed=seed) for seed in range(5)]
    assert [values[-1] for values in found] == pytest.approx([ends] * 5, abs=2e-3)
    assert min(increases(values) for values in found) >= 1


@pytest.mark.parametrize("rate", RATES)
def test_toy_the_minimum_norm_direction_reaches_the_minimum(rate):
    """Ten random starts are ten maximisers here, and 0 is between their gradients but for once in 2⁹ steps."""
    values = follow(10, RATES[rate], seed=0)
    assert values[-1] == pytest.approx(1.0, abs=1e-3)
    assert increases(values) == 0


def test_toy_where_one_maximiser_is_found_the_direction_is_its_gradient():
    """Next to the line of ties all ascents end alike, so the minimum-norm direction oscillates as a single gradient does."""
    start = (1.0, 0.3)
    one, ten = (follow(count, RATES["0.1"], start=start) for count in (1, 10))
    assert ten == pytest.approx(one)
    assert increases(ten) >= 15


def test_toy_candidates_that_are_no_maximisers_stop_it_early():
    """Both ends, of which δ = 0 is no maximiser at θ₂ > 0: neither loss can fall without the other, at φ = (0.7 + 1)²."""

    def both_ends(theta, count, rng):
        return torch.tensor([0.0, 1.0], dtype=torch.float64)

    values = follow(2, RATES["0.1"], find=both_ends, start=(-2.0, 0.7), steps=100)
    assert values[-1] == pytest.approx(1.7**2, abs=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_toy_a_direction_of_unit_length_does_not(rate):
    values = follow(10, RATES[rate], seed=0, normalise=True)
    assert increases(values) >= 15
    assert values[-1] > 1.0002
