"""Objectives: a score per example that grows as the prediction gets worse."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import inradius
from inradius import DLR, CrossEntropy, InputError, Margin, Objective, Targeted
from inradius.attacks.objective import class_margin

LAW = settings(derandomize=True, deadline=None, max_examples=60)
SPECS = ["cross_entropy()", "margin()", "dlr()", "targeted(margin(), goal=1)"]


ANY, FEW, MANY = st.integers(2, 7), st.integers(2, 3), st.integers(4, 7)


@st.composite
def scored(draw, classes=ANY):
    """Logits, labels and goals that are no labels."""
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    count, size = draw(st.integers(1, 5)), draw(classes)
    logits = torch.randn(count, size, generator=rng, dtype=torch.float64) * draw(st.sampled_from([0.1, 1.0, 10.0]))
    y = torch.randint(size, (count,), generator=rng)
    return logits, y, (y + torch.randint(1, size, (count,), generator=rng)) % size


@pytest.mark.parametrize("spec", SPECS)
@LAW
@given(case=scored())
def test_an_objective_is_one_finite_score_per_example(spec, case):
    logits, y, goal = case
    objective = inradius.make(spec, Objective)
    for aim in (None, goal):
        scores = objective(logits, y, aim)
        assert scores.shape == y.shape
        assert torch.isfinite(scores).all()
        alone = [
            objective(logits[i : i + 1], y[i : i + 1], None if aim is None else aim[i : i + 1]) for i in range(len(y))
        ]
        assert torch.equal(scores, torch.cat(alone))


@pytest.mark.parametrize("spec", SPECS)
def test_an_objective_prints_as_its_spec(spec):
    objective = inradius.make(spec, Objective)
    assert inradius.make(str(objective)) == objective
    assert hash(objective) == hash(inradius.make(spec))


@LAW
@given(case=scored())
def test_the_margin_is_positive_where_the_prediction_is_right(case):
    logits, y, goal = case
    right = logits.argmax(1) == y
    assert torch.equal(class_margin(logits, y) > 0, right)
    assert torch.equal(Margin()(logits, y) < 0, right)
    assert torch.equal(Margin()(logits, y, goal) > 0, logits.argmax(1) == goal)


@LAW
@given(case=scored())
def test_cross_entropy_is_that_of_torch_with_its_gradient(case):
    logits, y, goal = case
    logits.requires_grad_()
    for label, sign, ours in [(y, 1, CrossEntropy()(logits, y)), (goal, -1, CrossEntropy()(logits, y, goal))]:
        theirs = sign * F.cross_entropy(logits, label, reduction="none")
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
        gradients = [torch.autograd.grad(value.sum(), logits)[0] for value in (ours, theirs)]
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gap", [5.0, 20.0, 60.0])
def test_cross_entropy_keeps_its_direction_where_the_model_is_sure(gap):
    exact = torch.tensor([[gap, 0.0, -1.0]], dtype=torch.float64, requires_grad=True)
    rounded = exact.detach().float().requires_grad_()
    y = torch.tensor([0])
    expected, found = (torch.autograd.grad(CrossEntropy()(z, y).sum(), z)[0] for z in (exact, rounded))
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0.0)
    # the odds against the label balance the rest: this is what rounding takes from the softmax's gradient
    assert found[0, 0] == pytest.approx(-float(found[0, 1:].sum()), rel=1e-5)


def test_cross_entropy_grows_linearly_where_the_prediction_is_far_off():
    logits = torch.tensor([[0.0, 3e4]], requires_grad=True)
    value = CrossEntropy()(logits, torch.tensor([0]))
    assert value.item() == pytest.approx(3e4)
    assert torch.autograd.grad(value.sum(), logits)[0].tolist() == [[-1, 1]]


@LAW
@given(case=scored(MANY), scale=st.floats(1e-3, 1e3), shift=st.floats(-5, 5))
def test_dlr_does_not_change_when_logits_are_scaled_and_shifted(case, scale, shift):
    logits, y, goal = case
    for aim in (None, goal):
        torch.testing.assert_close(DLR()(scale * logits + shift, y, aim), DLR()(logits, y, aim), rtol=1e-6, atol=1e-8)


@LAW
@given(case=scored(MANY))
def test_dlr_has_the_sign_of_the_margin_and_is_at_least_minus_one(case):
    logits, y, goal = case
    assert torch.equal(DLR()(logits, y) < 0, logits.argmax(1) == y)
    assert (DLR()(logits, y) >= -1).all()
    ahead = logits.gather(1, goal[:, None]) > logits.gather(1, y[:, None])
    assert torch.equal(DLR()(logits, y, goal) > 0, ahead.squeeze(1))


@LAW
@given(case=scored(FEW))
def test_dlr_is_the_margin_below_four_classes(case):
    logits, y, goal = case
    assert torch.equal(DLR()(logits, y), Margin()(logits, y))
    assert torch.equal(DLR()(logits, y, goal), Margin()(logits, y, goal))


def test_dlr_is_zero_where_all_logits_are_equal():
    assert DLR()(torch.zeros(2, 5), torch.tensor([0, 3])).tolist() == [0, 0]


@pytest.mark.parametrize("objective", [CrossEntropy(), Margin(), DLR()])
@LAW
@given(case=scored())
def test_targeted_is_the_objective_with_the_goal(objective, case):
    logits, y, goal = case
    assert torch.equal(Targeted(objective=objective)(logits, y, goal), objective(logits, y, goal))
    fixed = Targeted(objective=objective, goal=1)(logits, y)
    aimed = objective(logits, y, torch.ones_like(y))
    assert torch.equal(fixed, torch.where(y == 1, objective(logits, y), aimed))


def test_targeted_without_a_class_says_how_to_give_one():
    with pytest.raises(InputError, match=r"targeted\(\) has no class to aim at; give targeted\(goal=...\)"):
        Targeted()(torch.zeros(1, 3), torch.tensor([0]))


@pytest.mark.parametrize("goal", [-1, 3])
def test_targeted_refuses_what_is_no_class(goal):
    with pytest.raises(InputError, match=f"goal={goal} is not a class; allowed is 0 to 2"):
        Targeted(goal=goal)(torch.zeros(1, 3), torch.tensor([0]))
