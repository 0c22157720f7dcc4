"""The search for violating inputs: what it lowers, and that it finds what a grid shows."""

import pytest
import torch
from exact_fractions import laws
from hypothesis import given
from hypothesis import strategies as st
from toy_sets import Cube
from verify_cases import grid, network

from inradius import Property
from inradius.verification import descent
from inradius.verification.clock import Clock
from inradius.verification.descent import find_witness
from inradius.verification.question import Question, Witness


def question(model, prop, eps=0.5, accept=lambda point: Witness(point, point), **options):
    return Question(model, torch.zeros(1, 2), Cube(eps=eps), prop, accept, **options)


def by_definition(row, prop, kept):
    """The least of the kept clauses: the sum of its positive rows, or its largest row where none is positive."""
    clauses = torch.eye(len(row), dtype=torch.bool) if prop.clauses is None else prop.clauses
    found = []
    for clause, asked in zip(clauses, kept, strict=True):
        inside = row[clause]
        if asked:
            found.append(inside.clamp(min=0).sum() if bool((inside > 0).any()) else inside.max())
    return torch.stack(found).min()


@laws(40)
@given(seed=st.integers(0, 10**6), single=st.booleans(), block=st.sampled_from([1, 30, 1 << 22]))
def test_what_a_start_lowers(seed, single, block):
    torch.manual_seed(seed)
    clauses = torch.rand(3, 4) < 0.5
    clauses[:, 0] |= ~clauses.any(1)
    prop = Property(torch.eye(4), torch.zeros(4), None if single else clauses)
    values = torch.randn(6, 4)
    kept = descent._chosen(question(network(), prop), 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descent, "_BLOCK", block)
        found = descent._losses(values, prop, kept)
    torch.testing.assert_close(
        found, torch.stack([by_definition(*pair) for pair in zip(values, [prop] * 6, kept, strict=True)])
    )


def test_starts_take_all_clauses_or_one_in_turn():
    kept = descent._chosen(question(network(), Property(torch.eye(3), torch.zeros(3))), 8)
    assert kept[1::2].all()
    assert kept[::2].int().argmax(1).tolist() == [0, 1, 2, 0]
    assert kept[::2].sum(1).tolist() == [1] * 4


@laws(12)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.002, 0.05]))
def test_it_finds_what_a_grid_shows(seed, share):
    model = network(seed)
    values = model.double()(grid((-0.5, -0.5), (0.5, 0.5)))[:, 0]
    model.float()
    level = float(values.min()) + share * float(values.max() - values.min()) + 1e-5
    prop = Property(torch.tensor([[1.0, 0.0]]), torch.tensor([-level]))
    found = find_witness(question(model, prop), Clock(20), range(6))
    assert found is not None
    assert float(model(found.point)[0, 0]) <= level


def test_where_nothing_is_accepted_or_time_is_over_nothing_is_found():
    prop, calls = Property(torch.zeros(1, 2), torch.full((1,), -1.0)), []

    def accept(point):
        calls.append(point)

    assert find_witness(question(network(), prop, accept=accept), Clock(60), range(1)) is None
    assert calls
    calls.clear()
    assert find_witness(question(network(), prop, accept=accept, refutable=False), Clock(60), range(1)) is None
    assert find_witness(question(network(), prop, accept=accept), Clock(0), range(1)) is None
    assert not calls


def test_equal_seeds_find_equal_inputs():
    prop = Property(torch.tensor([[1.0, 0.0]]), torch.tensor([0.5]))
    one, two = (find_witness(question(network(1), prop), Clock(60), range(3), seed=5) for _ in range(2))
    assert torch.equal(one.point, two.point)
