"""Objectives that compare a prediction with the clean one."""

import pytest
import torch
from distance_cases import LINF, batch, network
from hypothesis import given, settings
from hypothesis import strategies as st

import inradius
from inradius import Attack, CrossEntropy, Objective
from inradius.testing import check_objective
from inradius.training.losses import kl_divergence, squared_distance
from inradius_training.objectives.kl import KL
from inradius_training.objectives.squared_distance import SquaredDistance

LAW = settings(derandomize=True, deadline=None, max_examples=100)
OBJECTIVES = ["kl()", "squared_distance()"]


@pytest.mark.parametrize("spec", OBJECTIVES)
def test_the_laws_of_objectives(spec):
    check_objective(spec)


@LAW
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 7), size=st.sampled_from([0.1, 1.0, 10.0]))
def test_they_are_the_distances_of_the_losses(seed, classes, size):
    generator = torch.Generator().manual_seed(seed)
    z, of = size * torch.randn(2, 6, classes, generator=generator, dtype=torch.float64)
    y = of.argmax(1)
    torch.testing.assert_close(KL().score(z, y, targets=of.softmax(1)), kl_divergence(z, of=of), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(SquaredDistance().score(z, y, targets=of.softmax(1)), squared_distance(z, of=of))


@LAW
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 7))
def test_without_targets_they_compare_with_the_label(seed, classes):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(6, classes, generator=generator, dtype=torch.float64)
    y, goal = torch.randint(classes, (2, 6), generator=generator)
    torch.testing.assert_close(KL()(z, y), CrossEntropy()(z, y))
    torch.testing.assert_close(KL()(z, y, goal), CrossEntropy()(z, y, goal))
    error = (z.softmax(1) - torch.eye(classes, dtype=torch.float64)[y]).square().sum(1)
    torch.testing.assert_close(SquaredDistance()(z, y), error)
    torch.testing.assert_close(SquaredDistance()(z, y, y), -error)


@pytest.mark.parametrize("spec", OBJECTIVES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_have_no_gradient_at_the_clean_input(spec, dtype):
    """So an attack on them must begin elsewhere: normal noise of 0.001 is enough."""
    model, data, objective = network(dtype=dtype), batch(dtype=dtype), inradius.make(spec, Objective)
    clean = model(data.inputs).softmax(1).detach()
    noise = 0.001 * torch.randn(data.inputs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def slope(delta):
        delta = delta.to(dtype).requires_grad_()
        score = objective.score(model(data.inputs + delta), data.labels, targets=clean)
        return torch.autograd.grad(score.sum(), delta)[0].abs().amax()

    assert slope(torch.zeros_like(noise)) < 100 * torch.finfo(dtype).eps
    assert slope(noise) > 1e-5


@pytest.mark.parametrize("spec", OBJECTIVES)
def test_reduced_precision_does_not_round_the_clean_prediction(spec):
    model, data = network(dtype=torch.float32), batch(dtype=torch.float32)
    attack = inradius.make(
        f"pgd(steps=5, direction='gradient', step=1.0, random_start=False, objective={spec}, keep_maximising=True)",
        Attack,
    )
    with torch.autocast("cpu", torch.bfloat16):
        delta = attack.find(model, data.inputs, data.labels, LINF)
    assert delta.abs().amax() < 1e-5


@pytest.mark.parametrize("spec", OBJECTIVES)
def test_an_attack_that_begins_at_the_clean_input_stays_there(spec):
    model, data = network(), batch()
    found = {}
    for begin in ("random_start=False", "noise=0.001"):
        attack = f"pgd(steps=10, direction='gradient', step=1.0, {begin}, objective={spec}, keep_maximising=True)"
        found[begin] = inradius.make(attack, Attack)(model, data.inputs, data.labels, LINF).delta.abs().amax()
    assert found["random_start=False"] < 1e-12
    assert found["noise=0.001"] > 0.001


@pytest.mark.parametrize("gap", [10.0, 20.0, 40.0])
def test_the_divergence_keeps_its_direction_where_the_model_is_sure(gap):
    of = torch.tensor([[gap, 0.0, -1.0]], dtype=torch.float64)
    targets = of.softmax(1)
    z = (of + torch.tensor([[-0.4, 0.3, 0.1]])).double()
    exact, rounded = z.clone().requires_grad_(), z.float().requires_grad_()
    value, near = (KL().expected(each, targets.to(each)) for each in (exact, rounded))
    torch.testing.assert_close(near.double(), value, rtol=1e-3, atol=0)
    slopes = [torch.autograd.grad(each.sum(), at)[0].double() for each, at in ((value, exact), (near, rounded))]
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-3, atol=0)


@pytest.mark.parametrize("spec", OBJECTIVES)
def test_predictions_that_underflow_give_no_nan(spec):
    z = torch.tensor([[0.0, 500.0, -500.0], [800.0, 0.0, 0.0]], requires_grad=True)
    of = torch.tensor([[900.0, 0.0, 0.0], [-900.0, 0.0, 900.0]])
    objective = inradius.make(spec, Objective)
    value = objective.score(z, torch.tensor([0, 1]), targets=of.softmax(1))
    assert torch.isfinite(value).all()
    assert torch.isfinite(torch.autograd.grad(value.sum(), z)[0]).all()
