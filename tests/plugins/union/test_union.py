"""Unions: every oracle against the members', membership, and what is refused."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import nn

import inradius
from inradius import Certifier, InputError, Oracles, SpecError, ThreatModel, UnsupportedError
from inradius.testing import check_threat_model
from inradius.testing.affine import Matrix
from inradius.testing.strategies import cases
from inradius_union import Union

MIXED = "union(linf(eps=0.1), l2(eps=0.4, bounds=None), l1(eps=1.1, bounds=(-1.0, 2.0)))"
UNIONS = ["union(linf(eps=0.1), l2(eps=0.5))", MIXED, "union(l1(eps=1.0), linf(eps=0.0))"]
CASES = cases((1, 2, 3))


def make(spec):
    return inradius.make(spec, ThreatModel)


def stacked(oracle, union):
    return torch.stack([oracle(part) for part in union.members()])


def length(delta):
    return delta.flatten(1).norm(dim=1)


@pytest.mark.parametrize("spec", UNIONS)
@given(case=CASES)
def test_a_point_of_the_union_is_a_point_of_a_member(spec, case):
    union, each = make(spec), make(spec).per_example(case.factors)
    near = case.delta + 1e-6 * case.c[:, 0].sign()
    for sets in (union, each):
        for delta in (case.delta, near, *(part.project(near, case.x) for part in sets.members())):
            for tol in (0.0, 1e-7, 1e-5, 0.1):
                inside = stacked(lambda part: part.contains(delta, case.x, tol=tol), sets).any(0)  # noqa: B023
                assert torch.equal(sets.contains(delta, case.x, tol=tol), inside)


@pytest.mark.parametrize("spec", UNIONS)
@given(case=CASES)
def test_the_nearest_member_projects_and_the_best_one_maximises(spec, case):
    union, x, v, c = make(spec), case.x, case.delta, case.c[:, 0]
    least = stacked(lambda part: length(v - part.project(v, x)), union).amin(0)
    torch.testing.assert_close(length(v - union.project(v, x)), least, rtol=1e-9, atol=1e-12)
    most = stacked(lambda part: (c * part.linear_max(c, x)).flatten(1).sum(1), union).amax(0)
    torch.testing.assert_close((c * union.linear_max(c, x)).flatten(1).sum(1), most, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("spec", UNIONS)
@given(case=CASES)
def test_support_hull_and_span_are_those_of_the_convex_hull(spec, case):
    union, x, c = make(spec), case.x, case.c
    assert torch.equal(union.support(c, x), stacked(lambda part: part.support(c, x), union).amax(0))
    assert torch.equal(union.support_bound(c, x), stacked(lambda part: part.support_bound(c, x), union).amax(0))
    op = Matrix(x.shape[1:], 4, case.seed, taps=None, dtype=x.dtype)
    for oracle in (lambda part: part.span(c, x), lambda part: part.hull(x), lambda part: part.bound_affine(op, x)):
        lower, upper = oracle(union)
        assert torch.equal(lower, stacked(lambda part: oracle(part)[0], union).amin(0))  # noqa: B023
        assert torch.equal(upper, stacked(lambda part: oracle(part)[1], union).amax(0))  # noqa: B023


@given(case=CASES)
def test_a_union_of_one_set_is_that_set(case):
    alone, union = make("l2(eps=0.4)"), make("union(l2(eps=0.4))")
    x, v, c = case.x, case.delta, case.c
    assert torch.equal(union.project(v, x), alone.project(v, x))
    assert torch.equal(union.linear_max(c[:, 0], x), alone.linear_max(c[:, 0], x))
    assert torch.equal(union.gauge(v, x), alone.gauge(v, x))
    assert torch.equal(union.violation(v, x), alone.violation(v, x))
    assert torch.equal(union.steepest(c[:, 0], x, 0 * v), alone.steepest(c[:, 0], x, 0 * v))
    assert (union.convex, union.tight, union.symmetric) == (True, True, True)
    assert union.sketch(x)[2] == alone.sketch(x)[2]


def test_a_gauge_counts_where_its_member_allows_the_point():
    union = make("union(linf(eps=0.5), l2(eps=0.1, bounds=None))")
    x = torch.tensor([[0.9, 0.5], [0.9, 0.5], [1.0, 1.0]])
    delta = torch.tensor([[0.3, 0.0], [0.05, 0.0], [0.0, 0.0]])
    # the first leaves the box of linf, where its gauge would have been 0.6
    torch.testing.assert_close(union.gauge(delta, x), torch.tensor([3.0, 0.1, 0.0]))
    assert union.violation(delta, x).eq(0).all()
    assert union.contains(delta, x).tolist() == [False, True, True]


def test_a_point_that_no_member_allows_is_told_by_the_least_violation():
    union = make("union(linf(eps=0.5), l2(eps=1.0, bounds=(0.0, 1.2)))")
    x, delta = torch.tensor([[0.9, 0.5]]), torch.tensor([[0.5, 0.0]])
    torch.testing.assert_close(union.violation(delta, x), torch.tensor([0.2]))
    torch.testing.assert_close(union.gauge(delta, x), torch.tensor([0.5]))
    assert not union.contains(delta, x).any()


@given(seed=st.integers(0, 2**31))
def test_samples_come_from_every_member(seed):
    union, x = make("union(linf(eps=0.01), l2(eps=0.5))"), torch.full((64, 4), 0.5)
    rng = inradius.ExampleRNG(seed, torch.arange(64))
    drawn = union.sample(x, rng=rng)
    assert union.contains(drawn, x).all()
    small = union.members()[0].contains(drawn, x)
    assert 0 < small.sum() < 64
    assert not torch.equal(drawn, union.sample(x, rng=rng))


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec", ["wasserstein(eps=0.1), linf(eps=0.05)", "l1(eps=0.6), wasserstein(eps=0.2, kernel=3)"]
)
def test_any_set_may_be_a_member(spec):
    check_threat_model(f"union({spec})", shape=(1, 3, 3), examples=4)


def test_nested_unions_flatten():
    flat = make("union(linf(eps=0.1), l2(eps=0.5), l1(eps=1))")
    nested = make("union(union(linf(eps=0.1), l2(eps=0.5)), union(l1(eps=1)))")
    assert nested == flat
    assert str(nested) == "union(linf(eps=0.1), l2(eps=0.5), l1(eps=1.0))"
    assert [str(part) for part in nested.members()] == ["linf(eps=0.1)", "l2(eps=0.5)", "l1(eps=1.0)"]
    assert Union(sets=[flat, make("linf(eps=0.2)")]).members()[3] == make("linf(eps=0.2)")
    assert str(flat.scaled(2.0)) == "union(linf(eps=0.2), l2(eps=1.0), l1(eps=2.0))"


def test_properties_are_those_that_all_members_share():
    both = make("union(linf(eps=0.1), l2(eps=0.5))")
    assert (both.convex, both.tight, both.symmetric, both.bounds) == (False, True, True, (0.0, 1.0))
    assert make(MIXED).bounds == (0.0, 1.0)
    assert make("union(linf(eps=0.1, bounds=None), l2(eps=0.5, bounds=None))").bounds is None
    assert both.sketch(torch.zeros(1, 2)) is None
    each = both.per_example(torch.tensor([1.0, 0.5]))
    assert (each.convex, each.tight, each.symmetric) == (False, True, False)
    assert all(isinstance(part, Oracles) for part in each.select(torch.tensor([1])).members())


def test_inputs_must_suit_every_member():
    union = make("union(l2(eps=0.4, bounds=None), linf(eps=0.1))")
    with pytest.raises(InputError, match=r"input 1 is in \[0.5, 1.5\], but linf\(eps=0.1\) allows \[0, 1\]"):
        union.check_inputs(torch.tensor([[0.5, 0.5], [0.5, 1.5]]))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("union()", "a union of no sets has no points; allowed is one set or several"),
        ("union(pgd())", r"pgd\(\) is no set; allowed are components of kind ThreatModel"),
        ("union(linf(eps=0.1), 0.5)", "0.5 is no set; allowed are components of kind ThreatModel"),
        ("union(eps=3)", "there is no parameter 'eps'"),
    ],
)
def test_what_is_no_union_is_refused(spec, message):
    with pytest.raises(SpecError, match=message):
        make(spec)


def test_members_that_are_no_sequence_are_refused():
    with pytest.raises(ValueError, match="sets=3 are no sets; allowed is one set or several"):
        Union(sets=3)


def test_what_needs_a_convex_set_refuses_a_union():
    union, model = make("union(linf(eps=0.1), l2(eps=0.5))"), nn.Linear(4, 3)
    x, y = torch.full((2, 4), 0.5), torch.tensor([0, 1])
    with pytest.raises(UnsupportedError, match="not convex"):
        inradius.make("frank_wolfe()", inradius.Attack)(model, x, y, union)
    cvxpy = pytest.importorskip("cvxpy", reason="the lp certifier needs cvxpy")
    with pytest.raises(UnsupportedError, match="not convex"):
        union.constraints(cvxpy.Variable(4), x[0])
    assert len(make("union(linf(eps=0.1))").constraints(cvxpy.Variable(4), x[0])) == 3
    with pytest.raises(UnsupportedError, match="union='each'"):
        inradius.make("lp", Certifier)(model, x, y, union, union="hull")
    inradius.make("lp", Certifier)(model, x, y, union)
