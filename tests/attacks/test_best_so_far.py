"""The best perturbation so far: the largest value wins, the earlier of equal ones, and whoever is done keeps theirs."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

import inradius
from inradius import AttackBatch, CountedModel, ExampleRNG
from inradius.attacks.best_so_far import BestSoFar

COUNT = 4


def batch():
    x, y = torch.zeros(COUNT, 2, dtype=torch.float64), torch.zeros(COUNT, dtype=torch.int64)
    return AttackBatch(
        model=CountedModel(lambda x: x, y),
        x=x,
        y=y,
        threat=inradius.make("linf(eps=1, bounds=None)"),
        rng=ExampleRNG(0, torch.arange(COUNT)),
    )


# who is offered a perturbation, of which value, and who is done with it
offers = st.lists(
    st.tuples(
        st.lists(st.booleans(), min_size=COUNT, max_size=COUNT),
        st.lists(st.integers(-2, 2), min_size=COUNT, max_size=COUNT),
        st.lists(st.booleans(), min_size=COUNT, max_size=COUNT),
    ),
    max_size=6,
)


@given(offers, st.booleans())
def test_the_largest_value_wins_and_the_first_of_equal_ones(several, finishes):
    """Law: it agrees with a loop over examples, whoever is offered something together."""
    found = BestSoFar(batch())
    best, value, still = [0.0] * COUNT, [-float("inf")] * COUNT, [True] * COUNT
    for number, (who, values, ends) in enumerate(several, start=1):
        rows = [row for row in range(COUNT) if who[row] and still[row]]
        part = found.whole.take(torch.tensor(rows, dtype=torch.int64))
        delta = torch.full_like(part.x, float(number))
        offered = torch.tensor([float(values[row]) for row in rows], dtype=torch.float64)
        done = torch.tensor([ends[row] for row in rows], dtype=torch.bool)
        better = found.record(part, delta, offered, done if finishes else None)
        for place, row in enumerate(rows):
            over = finishes and ends[row]
            kept = values[row] > value[row] or over
            assert bool(better[place]) == kept
            if kept:
                best[row], value[row] = float(number), float(values[row])
            still[row] = not over
    assert found.best[:, 0].tolist() == best
    assert found.value.tolist() == value
    assert found.open.tolist() == still
    assert found.survivors().rows.tolist() == [row for row in range(COUNT) if still[row]]


def test_those_that_finish_keep_their_perturbation_at_any_value():
    found = BestSoFar(batch())
    whole = found.whole
    found.record(whole, torch.ones_like(whole.x), torch.ones(COUNT, dtype=torch.float64))
    found.finish(whole, 2 * torch.ones_like(whole.x), torch.tensor([False, True, False, False]))
    assert found.best[:, 0].tolist() == [1, 2, 1, 1]
    assert found.survivors().rows.tolist() == [0, 2, 3]


def test_values_keep_their_precision():
    found = BestSoFar(batch())
    half = found.whole.take(torch.tensor([0]))
    found.value = found.value.half()
    found.record(half, half.x + 1, torch.tensor([1 + 1e-12], dtype=torch.float64))
    assert found.value[0] == 1 + 1e-12


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [1, 3], []])
def test_an_iterate_of_a_part_is_shown_with_the_best_of_the_others(rows):
    seen = []
    found = BestSoFar(batch(), lambda step, delta: seen.append((step, delta)))
    found.record(found.whole, found.whole.x + 1, torch.zeros(COUNT, dtype=torch.float64))
    part = found.whole.take(torch.tensor(rows, dtype=torch.int64))
    delta = torch.full_like(part.x, 5.0)
    found.show(part, delta)
    found.show(part, delta)
    # what is shown is a copy
    delta.zero_()
    assert [step for step, _ in seen] == [0, 1]
    assert seen[1][1][:, 0].tolist() == [5.0 if row in rows else 1.0 for row in range(COUNT)]
