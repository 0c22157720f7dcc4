"""The rows that a solver is asked for: all, or those that the verdict depends on."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inradius import Property
from inradius_bounds.solvers.agenda import Agenda

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True)
# numbers in fourths make ties and equality with the error frequent
BOUNDS, GAINS, ERRORS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25), (None, 0.0, 0.25, 0.25, 0.5, 0.75, 1.0), (0.0, 0.25, 0.5)


def prop(count, clauses):
    return Property(torch.eye(count), torch.zeros(count), clauses)


def question(seed):
    """A property of K rows, the bounds before, a solver's answers that are no lower (or None), errors, and slack."""
    draw = random.Random(seed)
    count = draw.randint(1, 5)
    clauses = [[draw.random() < 0.4 for _ in range(count)] for _ in range(draw.randint(1, 4))]
    clauses = (
        None if draw.random() < 0.5 else torch.tensor([clause for clause in clauses if any(clause)] or [[True] * count])
    )
    value, error = (torch.tensor([draw.choice(some) for _ in range(count)]) for some in (BOUNDS, ERRORS))
    gains = [draw.choice(GAINS) for _ in range(count)]
    answers = [None if gain is None else value[row] + gain for row, gain in enumerate(gains)]
    return prop(count, clauses), value, answers, error, draw.choice([None, torch.full((count,), 0.25)])


questions = st.integers(0, 10**9).map(question)


def asked_for(agenda, answers):
    """The rows that are asked for, in order. The agenda receives the answers."""
    rows = []
    for row in agenda:
        rows.append(row)
        if answers[row] is not None:
            agenda.answer(row, answers[row])
    return rows


def holds(prop, above):
    return bool(prop.holds(above[None])[0])


@SETTINGS
@given(questions)
def test_without_errors_every_row_is_asked_for_in_turn(case):
    asked, value, answers, _, _ = case
    assert asked_for(Agenda.of(asked, value, None), answers) == list(range(len(value)))


@SETTINGS
@given(questions)
def test_the_verdict_is_that_of_asking_for_every_row(case):
    """Also whether an example is open: not proved, but within its doubt, so that another pass may prove it."""
    asked, value, answers, error, slack = case
    agenda = Agenda.of(asked, value, error, slack)
    asked_for(agenda, answers)
    whole = torch.stack([before if after is None else after for before, after in zip(value, answers, strict=True)])
    assert holds(asked, agenda.value > error) == holds(asked, whole > error)
    wide = error if slack is None else error + slack
    assert holds(asked, agenda.value >= -wide) == holds(asked, whole >= -wide) or holds(asked, whole > error)


@SETTINGS
@given(questions)
def test_no_row_is_asked_for_that_decides_nothing(case):
    """Each row that is asked for is in a clause without a proved row, is asked for once, and no clause is refuted before it."""
    asked, value, answers, error, slack = case
    agenda, seen = Agenda.of(asked, value, error, slack), []
    clauses = torch.eye(len(value), dtype=torch.bool) if asked.clauses is None else asked.clauses
    wide = error if slack is None else error + slack
    known = value.clone()
    for row in agenda:
        assert row not in seen
        refuted = torch.tensor([place in seen and bool(known[place] < -wide[place]) for place in range(len(value))])
        assert not bool((clauses <= refuted).all(1).any())
        assert bool((clauses[:, row] & ~(clauses & (known > error)).any(1)).any())
        if answers[row] is not None:
            seen.append(row)
            known[row] = answers[row]
            agenda.answer(row, answers[row])


@SETTINGS
@given(questions)
def test_the_lowest_clause_comes_first_and_in_it_the_highest_row(case):
    asked, value, _, error, slack = case
    first = next(iter(Agenda.of(asked, value, error, slack)), None)
    clauses = torch.eye(len(value), dtype=torch.bool) if asked.clauses is None else asked.clauses
    left = [clause for clause in clauses if not bool((clause & (value > error)).any())]
    assert (first is None) == (not left)
    if left:
        highest = [float(value[clause].max()) for clause in left]
        assert float(value[first]) == min(highest)
        assert any(bool(clause[first]) for clause, top in zip(left, highest, strict=True) if top == min(highest))


@pytest.mark.parametrize("bound", [float("nan"), float("inf"), -float("inf")])
def test_bounds_and_errors_that_are_no_numbers_prove_nothing(bound):
    """A bound that is no number is as good as none; an error that is none is larger than any."""
    asked = prop(2, None)
    unknown = Agenda.of(asked, torch.tensor([bound if bound < 0 else float("nan"), 1.0]), torch.zeros(2))
    assert asked_for(unknown, [torch.tensor(1.0)] * 2) == [0]
    doubtful = Agenda.of(asked, torch.tensor([1.0, 1.0]), torch.tensor([0.0, float("nan")]))
    assert asked_for(doubtful, [torch.tensor(-1.0)] * 2) == [1]


@pytest.mark.parametrize(("own", "rows"), [(0.25, [0, 1]), (0.125, [0])])
def test_an_answer_has_an_error_of_its_own(own, rows):
    """Of two rows in one clause the second is asked for where the first is within its error of 0."""
    agenda = Agenda.of(prop(2, torch.ones(1, 2, dtype=torch.bool)), torch.tensor([-1.0, -2.0]), torch.zeros(2))
    seen = []
    for row in agenda:
        seen.append(row)
        agenda.answer(row, torch.tensor(0.25), torch.tensor(own))
    assert seen == rows
    low = Agenda.of(prop(2, None), torch.tensor([-1.0, -2.0]), torch.zeros(2))
    low.answer(0, torch.tensor(-0.25), torch.tensor(own))
    assert bool(low.refuted[0]) == (own < 0.25)
