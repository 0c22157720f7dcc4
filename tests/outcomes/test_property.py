"""Properties: what they say against brute force over outputs and perturbations, also of models that are no classifiers."""

import itertools
import math
from fractions import Fraction

import attrs
import numpy as np
import pytest
import torch
from certifier_toys import Slope, Told, Two, affine, batch
from hypothesis import given
from hypothesis import strategies as st
from toy_sets import Cube

from inradius import Bounds, Certifier, ExampleRNG, InputError, Property
from inradius.outcomes.property_rows import not_above

F64 = torch.float64
LOGITS = st.lists(st.lists(st.integers(-3, 3).map(float), min_size=4, max_size=4), min_size=1, max_size=4)


def outputs(rows):
    return torch.tensor(rows, dtype=F64)


def true_at(prop, values):
    """Whether the property holds at some outputs, clause by clause in plain Python."""
    rows = prop.values(values).tolist()
    clauses = (
        [[k] for k in range(len(rows[0]))]
        if prop.clauses is None
        else [c.nonzero()[:, 0].tolist() for c in prop.clauses]
    )
    return [all(any(row[k] > 0 for k in clause) for clause in clauses) for row in rows]


@given(LOGITS, st.data())
def test_clauses_hold_where_each_has_a_row_above_zero(rows, data):
    values = outputs(rows)
    shape = (data.draw(st.integers(1, 5)), 4)
    clauses = torch.tensor(
        data.draw(
            st.lists(st.lists(st.booleans(), min_size=4, max_size=4).filter(any), min_size=shape[0], max_size=shape[0])
        )
    )
    prop = Property(torch.eye(4, dtype=F64), torch.zeros(4, dtype=F64), clauses)
    assert prop.holds(prop.values(values) > 0).tolist() == true_at(prop, values)
    assert (prop.weakest(prop.values(values)) > 0).tolist() == true_at(prop, values)


@given(LOGITS, st.integers(0, 3))
def test_targeted_says_that_the_goal_is_not_predicted(rows, goal):
    values = outputs(rows)
    prop = Property.targeted(torch.full((len(rows),), goal), 4, dtype=F64)
    others = [j for j in range(4) if j != goal]
    assert prop.weights.shape == (len(rows), 3, 4)
    assert prop.holds(prop.values(values) > 0).tolist() == [any(row[j] > row[goal] for j in others) for row in rows]
    assert true_at(prop, values) == prop.holds(prop.values(values) > 0).tolist()


@given(LOGITS, st.integers(0, 3), st.integers(1, 3))
def test_top_k_says_that_the_label_is_among_the_largest(rows, label, k):
    """A tie counts against the label."""
    values = outputs(rows)
    prop = Property.top_k(torch.full((len(rows),), label), 4, k, dtype=F64)
    ranks = [sum(row[j] >= row[label] for j in range(4) if j != label) for row in rows]
    assert prop.holds(prop.values(values) > 0).tolist() == [rank < k for rank in ranks]
    assert (prop.weakest(prop.values(values)) > 0).tolist() == [rank < k for rank in ranks]


@given(LOGITS, st.data())
def test_ranges_say_that_outputs_lie_within(rows, data):
    four = {"min_size": 4, "max_size": 4}
    low = data.draw(st.lists(st.sampled_from([-math.inf, -2.0, -1.0, 0.0, 1.0]), **four))
    widths = data.draw(st.lists(st.sampled_from([1.0, 2.0, math.inf]), **four))
    high = [max(a, -3.0) + width for a, width in zip(low, widths, strict=True)]
    if not any(map(math.isfinite, low + high)):
        high[0] = 0.0
    prop = Property.ranges(low, high)
    assert prop.weights.shape == (1, sum(map(math.isfinite, low + high)), 4)
    inside = [all(a < v < b for a, v, b in zip(low, row, high, strict=True)) for row in rows]
    assert prop.holds(prop.values(outputs(rows)) > 0).tolist() == inside


def test_top_1_is_the_margins_and_too_many_clauses_are_refused():
    y = torch.tensor([2, 0])
    assert torch.equal(Property.top_k(y, 5, 1).weights, Property.margins(y, 5).weights)
    assert Property.top_k(y, 5, 1).clauses is None
    assert len(Property.top_k(y, 448, 2).clauses) == math.comb(447, 2) <= 100_000
    with pytest.raises(
        InputError, match="have 100128 subsets of k=2 others, each of them a clause; allowed are at most 100000"
    ):
        Property.top_k(y, 449, 2)


def test_many_clauses_are_judged_in_blocks():
    prop = Property.top_k(torch.zeros(3, dtype=torch.int64), 300, 2)
    values = torch.randn(3, 300, generator=torch.Generator().manual_seed(0))
    values[:, 0] = torch.tensor([9.0, values[1].sort().values[-1] - 1e-6, 0.0])
    ranks = (values[:, 1:] >= values[:, :1]).sum(1)
    assert prop.holds(prop.values(values) > 0).tolist() == (ranks < 2).tolist()
    assert (prop.weakest(prop.values(values)) > 0).tolist() == (ranks < 2).tolist()


CORNERS = [torch.tensor(signs, dtype=F64) for signs in itertools.product([-1.0, 1.0], repeat=4)]


def properties(outputs, count):
    """One of each kind for a model of so many outputs, each for a batch of ``count``."""
    labels = torch.arange(count) % outputs
    far = torch.linspace(-3, 1, outputs, dtype=F64)
    yield Property.ranges(far, torch.full((outputs,), 4.0, dtype=F64))
    yield Property.ranges(-math.inf, torch.full((outputs,), 1.5, dtype=F64))
    if outputs > 1:
        yield Property.margins(labels, outputs, dtype=F64)
        yield Property.targeted((labels + 1) % outputs, outputs, dtype=F64)
    if outputs > 2:
        yield Property.top_k(labels, outputs, 2, dtype=F64)
        yield Property.top_k(labels, outputs, outputs - 1, dtype=F64)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_certified_holds_at_every_perturbation_and_what_a_single_row_proves_is_certified(count, seed):
    """Affine models without labels: the rows' minima are those over the cube's corners, and certified is what these say."""
    model, x = affine(count, seed=seed), batch(40)[0]
    certified = 0
    for prop, eps in itertools.product(properties(count, 40), (0.02, 0.2)):
        proof = Slope()(model, x, None, Cube(eps=eps), prop=prop)
        rows = torch.stack([prop.values(model(x + eps * corner)) for corner in CORNERS])
        torch.testing.assert_close(proof.lower, rows.amin(0).detach())
        assert torch.equal(proof.certified, prop.holds(proof.lower > proof.error))
        holds = torch.stack([torch.tensor(true_at(prop, model(x + eps * corner))) for corner in CORNERS])
        inner = Cube(eps=eps).sample(x, rng=ExampleRNG(seed, torch.arange(40)))
        assert not bool((proof.certified & ~(holds.all(0) & torch.tensor(true_at(prop, model(x + inner))))).any())
        clear = (rows.amin(0).abs() > 1e-5).all(1)
        alone = prop.holds(rows.amin(0) > 0)
        assert torch.equal(proof.certified[clear], alone[clear])
        certified += int(proof.certified.sum())
    assert certified > 0


def test_a_network_with_one_output_needs_a_property():
    model, (x, y) = affine(1), batch(3)
    assert Slope()(model, x, None, Cube(), prop=Property.ranges(-1e3, 1e3)).certified.all()
    with pytest.raises(InputError, match="classes ≥ 2"):
        Slope()(model, x, y, Cube())


def test_one_property_for_all_inputs_is_that_of_each():
    model, (x, _) = affine(), batch(3)
    weights, offsets = (
        torch.randn(2, 3, dtype=F64, generator=torch.Generator().manual_seed(0)),
        torch.ones(2, dtype=F64),
    )
    forms = [
        Property(weights, offsets),
        Property(weights[None], offsets),
        Property(weights, offsets[None]),
        Property(weights.expand(3, 2, 3), offsets),
        Property(weights, offsets.expand(3, 2)),
        Property(weights.expand(3, 2, 3), offsets.expand(3, 2)),
    ]
    proofs = [Slope()(model, x, None, Cube(eps=0.1), prop=prop) for prop in forms]
    assert all(torch.equal(proof.lower, proofs[0].lower) and proof.lower.shape == (3, 2) for proof in proofs)
    bounds = Slope().bound(model, x, None, Cube(eps=0.1), prop=forms[0])
    torch.testing.assert_close(bounds, proofs[0].lower)


def test_what_is_bounded_again_follows_the_clauses():
    """A row far below zero keeps an example open where another row of its clause may still be above."""
    x, _ = batch(4, dtype=torch.float32)
    values = torch.tensor([[-5.0, 1e-6], [-5.0, -1e-6], [-5.0, -1.0], [1e-6, 3.0]])
    certifier = Told(
        bounds=lambda x, prop: Bounds(values.to(x.dtype) if len(x) == 4 else torch.ones(len(x), 2, dtype=F64))
    )
    either = Property(torch.ones(2, 3), torch.zeros(2), torch.ones(1, 2, dtype=torch.bool))
    proof = certifier(affine(dtype=torch.float32), x, None, Cube(), prop=either)
    assert (proof.precision.tolist(), proof.certified.tolist()) == ([64, 64, 32, 32], [True, True, False, True])
    both = Property(torch.ones(2, 3), torch.zeros(2))
    proof = certifier(affine(dtype=torch.float32), x, None, Cube(), prop=both)
    assert (proof.precision.tolist(), proof.certified.tolist()) == ([32, 32, 32, 64], [False, False, False, True])


def test_over_a_union_a_clause_holds_where_each_member_proves_it_by_some_row():
    answers = iter([torch.tensor([[1.0, -1.0, 1.0]], dtype=F64), torch.tensor([[-1.0, 1.0, 1.0]], dtype=F64)] * 2)
    certifier = Told(bounds=lambda x, prop: Bounds(next(answers)))
    x = batch(1)[0]
    some = Property(torch.ones(3, 3, dtype=F64), torch.zeros(3, dtype=F64), torch.tensor([[True, True, True]]))
    few = attrs.evolve(some, clauses=torch.tensor([[True, True, False]]))
    assert certifier(affine(), x, None, Two(), prop=some).certified.tolist() == [True]
    # each member proves it by another row, and a perturbation is in one of the members
    assert certifier(affine(), x, None, Two(), prop=few).certified.tolist() == [True]


def test_a_narrower_type_gets_a_stronger_property():
    prop = Property.ranges([0.1, -0.1], [0.7, 3.3])
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        narrow = prop.to(dtype)
        assert bool((narrow.offsets.double() <= prop.offsets).all())
        torch.testing.assert_close(narrow.offsets.double(), prop.offsets, rtol=2 * torch.finfo(dtype).eps, atol=0)
    held = Property.ranges([0.5], [0.75])
    assert torch.equal(held.to(torch.float16).offsets.double(), held.offsets)
    with pytest.raises(InputError, match="float32 cannot hold them"):
        Property(torch.full((1, 2), 0.1, dtype=F64), torch.zeros(1, dtype=F64)).to(torch.float32)


@attrs.frozen(kw_only=True)
class Sampled(Certifier):
    """Proves nothing."""

    def lower_bound(self, model, x, threat, prop, rng):
        return Bounds(torch.full_like(prop.offsets, -1.0))


ROWS, OFFSETS = torch.ones(2, 3), torch.zeros(2)
WRONG = [
    (lambda: Property([[1.0]], OFFSETS), "weights are a list"),
    (lambda: Property(ROWS, [0.0]), "offsets are a list"),
    (lambda: Property(ROWS.long(), OFFSETS), "weights are torch.int64"),
    (lambda: Property(ROWS, OFFSETS.bool()), "offsets are torch.bool"),
    (lambda: Property(ROWS, torch.zeros(3)), r"weights of shape \(1, 2, 3\) and offsets of shape \(1, 3\)"),
    (lambda: Property(ROWS.expand(4, 2, 3), OFFSETS.expand(3, 2)), r"\(4, 2, 3\) and offsets of shape \(3, 2\)"),
    (lambda: Property(torch.ones(3), OFFSETS), "allowed are"),
    (lambda: Property(torch.ones(0, 3), torch.zeros(0)), "at least one row and one output"),
    (lambda: Property(torch.ones(2, 0), OFFSETS), "at least one row and one output"),
    (lambda: Property(ROWS, OFFSETS.double()), "allowed is one type"),
    (lambda: Property(ROWS / 0, OFFSETS), "NaN or infinite"),
    (lambda: Property(ROWS, OFFSETS / 0), "NaN or infinite"),
    (lambda: Property(ROWS, OFFSETS, [[0, 1]]), "clauses are a list"),
    (lambda: Property(ROWS, OFFSETS, torch.ones(1, 2)), "clauses are torch.float32"),
    (lambda: Property(ROWS, OFFSETS, torch.ones(1, 3, dtype=torch.bool)), r"clauses have shape \(1, 3\)"),
    (lambda: Property(ROWS, OFFSETS, torch.ones(0, 2, dtype=torch.bool)), "at least one clause"),
    (lambda: Property(ROWS, OFFSETS, torch.ones(2, dtype=torch.bool)), r"clauses have shape \(2,\)"),
    (
        lambda: Property(ROWS, OFFSETS, torch.tensor([[True, False], [False, False]])),
        "clause 1 of the property has no row",
    ),
    (lambda: Property(ROWS, OFFSETS, torch.ones(100_001, 2, dtype=torch.bool)), "allowed are at most 100000"),
    (lambda: Property.margins(torch.tensor([3]), 3), "label 3 is out of range; allowed are the classes 0 to 2"),
    (lambda: Property.margins(torch.tensor([-1]), 3), "label -1 is out of range"),
    (lambda: Property.margins(torch.tensor([0.0]), 3), "allowed is a tensor of one integer per input"),
    (lambda: Property.margins([0], 3), "the labels are a list"),
    (lambda: Property.margins(torch.tensor([0]), 1), "classes=1 is not allowed"),
    (lambda: Property.margins(torch.tensor([0]), 2.0), "classes=2.0 is not allowed"),
    (lambda: Property.targeted(torch.tensor([3]), 3), "goal 3 is out of range"),
    (lambda: Property.targeted(2, 3), "the goals are a int"),
    (lambda: Property.top_k(torch.tensor([0]), 3, 0), "k=0 is not allowed; allowed is an integer from 1 to 2"),
    (lambda: Property.top_k(torch.tensor([0]), 3, 3), "k=3 is not allowed"),
    (lambda: Property.top_k(torch.tensor([0]), 3, True), "k=True is not allowed"),
    (lambda: Property.ranges([0.0], [0.0]), "low is not below high"),
    (lambda: Property.ranges([math.inf], [math.inf]), "low is not below high"),
    (lambda: Property.ranges([math.nan], [1.0]), "holds NaN"),
    (lambda: Property.ranges("a", 1.0), "low is a str"),
    (lambda: Property.ranges([0.0, 1.0], [2.0, 2.0, 2.0]), "one number for each output"),
    (lambda: Property.ranges(-math.inf, math.inf), "all sides of the ranges are infinite"),
    (lambda: Property.ranges(torch.tensor([[0.0], [-math.inf]]), 1.0), "low is infinite for some inputs only"),
    (lambda: Property.ranges(torch.tensor([0, 1]), 2.0), "low is torch.int64"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_no_property_is_refused(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("prop", "message"),
    [
        (Property(torch.ones(1, 4, dtype=F64), torch.zeros(1, dtype=F64)), "weights for 4 outputs; the model has 3"),
        (Property(torch.ones(2, 1, 3, dtype=F64), torch.zeros(2, 1, dtype=F64)), "that of 2 inputs, and 3 were given"),
        (ROWS, "the property is torch.float32 of shape"),
        ("margins", "the property is a str"),
    ],
)
def test_a_property_that_does_not_fit_the_call_is_refused(prop, message):
    with pytest.raises(InputError, match=message):
        Sampled()(affine(), batch(3)[0], None, Cube(), prop=prop)


def test_the_sign_of_a_row_is_exact_also_where_rounding_would_decide_it():
    rng = np.random.default_rng(0)
    decided = 0
    for _ in range(200):
        y, w = rng.normal(size=5), rng.normal(size=(3, 5))
        # each row is near 0 at the outputs, by rounding or a little more
        near = [-sum(a * b for a, b in zip(row, y.tolist(), strict=True)) for row in w.tolist()]
        c = np.array(near) * (1 + rng.integers(-2, 3, 3) * 2.0**-52)
        exact = [
            sum(Fraction(a) * Fraction(b) for a, b in zip(row, y.tolist(), strict=True)) + Fraction(offset) <= 0
            for row, offset in zip(w.tolist(), c.tolist(), strict=True)
        ]
        rounded = torch.from_numpy(w) @ torch.from_numpy(y) + torch.from_numpy(c) <= 0
        assert not_above(*map(torch.from_numpy, (w, c, y))).tolist() == exact
        decided += rounded.tolist() != exact
    assert decided > 20


@pytest.mark.parametrize("size", [0.0, 1e-310, 1e-160, 1e160, 1e300])
def test_rows_that_leave_the_range_have_their_exact_sign(size):
    w, y = torch.tensor([[size, -size], [-size, size], [size, size]], dtype=F64), torch.tensor([size, size], dtype=F64)
    tiny = torch.tensor([5e-324, -5e-324, 0.0], dtype=F64)
    assert not_above(w, tiny, y).tolist() == [False, True, size == 0]
