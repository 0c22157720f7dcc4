"""A batch under attack: its parts are aligned, and say where an attack begins."""

import pytest
import torch

import inradius
from inradius import AttackBatch, CountedModel, ExampleRNG, Margin


def model(x):
    return torch.stack([x.sum(1), -x.sum(1)], 1)


def batch(*, start=False, goal=False):
    x = torch.linspace(-1, 1, 10, dtype=torch.float64).view(5, 2)
    y = torch.tensor([0, 1, 0, 1, 0])
    return AttackBatch(
        model=CountedModel(model, y),
        x=x,
        y=y,
        threat=inradius.make("linf(eps=0.25, bounds=None)"),
        rng=ExampleRNG(3, torch.arange(5)),
        start=x / 2 if start else None,
        goal=1 - y if goal else None,
    )


def test_rows_are_the_places_in_the_batch_that_was_given():
    whole = batch()
    assert whole.rows.tolist() == [0, 1, 2, 3, 4]
    part = whole.take(torch.tensor([4, 1, 2])).take(torch.tensor([True, False, True]))
    assert part.rows.tolist() == [4, 2]
    assert len(part) == 2


@pytest.mark.parametrize("options", [{}, {"start": True, "goal": True}])
def test_a_part_is_aligned_whether_a_mask_or_places_take_it(options):
    """Law: a mask and its places take the same part, and every field of a part is that of its rows."""
    mask = torch.tensor([True, False, False, True, True])
    places = mask.nonzero().squeeze(1)
    one, other = batch(**options).take(mask), batch(**options).take(places)
    whole = batch(**options)
    for part in (one, other):
        assert torch.equal(part.rows, places)
        for name in ("x", "y", "goal", "start"):
            given, taken = getattr(whole, name), getattr(part, name)
            assert taken is None if given is None else torch.equal(taken, given[places])
    assert torch.equal(one.rng.uniform((2,)), other.rng.uniform((2,)))
    one.model(one.x)
    assert one.model.queries.tolist() == [1, 0, 0, 1, 1]


def test_each_example_has_a_radius_of_its_own():
    whole = batch()
    factors = torch.tensor([1.0, 2, 3, 4, 5], dtype=torch.float64)
    several = AttackBatch(
        model=whole.model, x=whole.x, y=whole.y, threat=whole.threat.per_example(factors), rng=whole.rng
    )
    part = several.take(torch.tensor([3, 0]))
    assert part.threat.linear_max(torch.ones_like(part.x), part.x)[:, 0].tolist() == [1.0, 0.25]


def test_an_attack_begins_at_the_start_projected_or_at_zero_or_at_random():
    started, plain = batch(start=True), batch()
    for random in (False, True):
        assert torch.equal(started.first_point(random=random), (started.x / 2).clamp(-0.25, 0.25))
    assert not plain.first_point(random=False).any()
    assert plain.first_point(random=True) is None


def test_misclassified_is_a_wrong_prediction_a_tie_or_the_goal():
    whole, logits = batch(), torch.tensor([[1.0, 0], [1, 0], [0, 0], [0, 1], [0, 1]])
    assert whole.misclassified(logits).tolist() == [False, True, True, False, True]
    assert batch(goal=True).misclassified(logits).tolist() == [False, True, False, False, True]


def test_a_score_is_the_objective_at_the_perturbed_input():
    whole = batch()
    delta = torch.full_like(whole.x, 0.1)
    logits, value = whole.score(delta, Margin())
    assert torch.equal(logits, model(whole.x + delta))
    assert torch.equal(value, Margin()(logits, whole.y))
