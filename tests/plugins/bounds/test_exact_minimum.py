"""branch_and_bound against the exact minimum of small ReLU networks over every kind of set."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from exact_minimum import minima
from exact_minimum_cases import ROUNDED, Case, answers, convex_sets
from rational_minimum import rational_minimum
from rational_polytope import Polytope, exact
from torch import nn

# one for each kind of set; of Wasserstein balls, patches and intersections those of small networks
QUICK = (0, 1, 2, 3, 76, 41, 6, 31, 8, 9, 10, 11)


def decided(found):
    for answer in found:
        assert not answer.wrong, answer
        assert not answer.early, answer


@pytest.mark.parametrize("seed", QUICK)
def test_properties_near_the_minimum_are_decided_over_every_kind_of_set(seed):
    decided(answers(seed, (1e-1, 1e-4)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 160))
def test_seven_hundred_properties_near_the_minimum_are_decided(seed):
    decided(answers(seed))


def kink():
    """|x| as a network."""
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    model[0].weight.data = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    model[2].weight.data = torch.ones(1, 2, dtype=torch.float64)
    model[0].bias.data.zero_()
    model[2].bias.data.zero_()
    return model


def test_the_references_give_the_minimum_of_an_absolute_value():
    x, rows = torch.tensor([[0.25]], dtype=torch.float64), [(np.eye(1), np.zeros(1))]
    found = minima(kink(), x, lambda delta: [delta <= 0.125, delta >= -0.125], rows)
    assert found == [pytest.approx(0.125, abs=1e-6)]
    side = exact(np.array([0.125]))
    assert rational_minimum(kink(), x, Polytope.box(-side, side), rows) == (Fraction(1, 8), Fraction(1, 8))


@pytest.mark.parametrize("seed", [2, 3, 7, 8, 9])
def test_both_references_agree(seed):
    case = Case.of(seed)
    rows, offsets = case.prop.weights[0].numpy(), case.prop.offsets[0].numpy()
    clauses = [(rows[each], offsets[each]) for each in case.prop.clauses.numpy()]
    least = min(min(minima(case.model, case.x, part, clauses)) for part in convex_sets(case.threat, case.x))
    assert 0 <= case.above - case.below < ROUNDED
    assert least == pytest.approx(float(case.above), abs=1e-6)
