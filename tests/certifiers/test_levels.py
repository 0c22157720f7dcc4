"""The levels of certificates: each example has the strongest at which it was proved, and a pass for each is made once."""

from functools import partial

import attrs
import pytest
import torch
from certifier_toys import DOUBLE, Slope, Told, Two, affine, batch, told
from hypothesis import given
from hypothesis import strategies as st
from toy_sets import Cube

import inradius
from inradius import Bounds, InputError
from inradius.certifiers.certificate import CLAIMS, DEFAULT_CLAIM, counts, weakest
from inradius.certifiers.certificate_in_progress import at_level, certificate_in_progress, current_certificate
from inradius.models.modes import covered_kernels

SINGLE = torch.float32


@attrs.frozen(kw_only=True)
class Paying(Told):
    """Bounds (B, K) that are given for each example; at level "float" they are lower by ``cost``, which it states.

    An example's place is its first coordinate.
    """

    values: object
    cost: object
    error: object = 0.0
    states: bool = True
    proofs: list = attrs.field(factory=list, eq=False)

    def lower_bound(self, model, x, threat, prop, rng):
        proof, rows = current_certificate(), x[:, 0].long()
        self.proofs.append((proof.claim, proof.decide, x.dtype, rows.tolist(), id(proof.memo)))
        like = torch.zeros_like(prop.offsets)
        value, cost, error = (
            rows_of(side, rows).expand_as(like).to(like) for side in (self.values, self.cost, self.error)
        )
        if proof.claim == "real":
            return Bounds(value, error=error)
        return Bounds(value - cost, error=error, claim="float", float_cost=cost if self.states else None)


def rows_of(given, rows):
    """What is given for each example, or one number for all."""
    return torch.tensor(given, dtype=DOUBLE) if isinstance(given, float) else torch.tensor(given, dtype=DOUBLE)[rows]


def column(values):
    """A value for each of a few examples, the same for both rows."""
    return tuple((value,) for value in values)


def asked(certifier, count, *, dtype=DOUBLE, threat=None, **options):
    x, y = batch(count, dtype=dtype)
    x[:, 0] = torch.arange(count)
    return certifier(affine(dtype=dtype), x, y, threat or Cube(), **options)


def test_each_example_has_the_strongest_level_at_which_it_was_proved():
    certifier = Paying(values=column([1.0, 0.03, -0.01, -1.0]), cost=0.05)
    proof = asked(certifier, 4, claim="float")
    assert proof.claim == ("float", "real", "float", "float")
    assert proof.certified.tolist() == [True, True, False, False]
    # what was not proved at either level keeps the bound at the level that was asked for
    torch.testing.assert_close(proof.lower[:, 0], torch.tensor([0.95, 0.03, -0.06, -1.05], dtype=DOUBLE))
    assert proof.counted().tolist() == [True, False, False, False]
    assert proof.counted(claim="real").tolist() == [True, True, False, False]
    assert proof.weaker.tolist() == [False, True, False, False]
    # the third could not be proved either way, and the fourth was not worth asking again
    assert [(claim, rows) for claim, _, _, rows, _ in certifier.proofs] == [("float", [0, 1, 2, 3]), ("real", [1])]


def test_at_level_real_nothing_is_asked_about_float_executions():
    certifier = Paying(values=column([1.0, 0.03]), cost=0.05)
    proof = asked(certifier, 2, claim="real")
    assert (proof.claim, proof.certified.tolist(), proof.asked) == (("real", "real"), [True, True], "real")
    assert [claim for claim, *_ in certifier.proofs] == ["real"]
    assert not bool(proof.weaker.any())


@given(
    st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=3, max_size=3),
    st.sampled_from([[[True, True]], None]),
    st.booleans(),
)
def test_asking_for_more_proves_no_less(numbers, clauses, union):
    """With any bounds, costs and errors: what level "real" proves is proved where "float" is asked for, and at which level."""
    values = tuple((n[0], m[0]) for n, m in zip(numbers, reversed(numbers), strict=True))
    costs, errors = (column([abs(n[i]) for n in numbers]) for i in (1, 2))
    prop = inradius.Property.margins(torch.arange(3) % 3, 3, dtype=DOUBLE)
    prop = prop if clauses is None else attrs.evolve(prop, clauses=torch.tensor(clauses))
    threat, paying = Two() if union else Cube(), Paying(values=values, cost=costs, error=errors)
    strong, weak = (asked(paying, 3, threat=threat, prop=prop, claim=claim) for claim in ("float", "real"))
    assert torch.equal(strong.certified, weak.certified)
    given, paid, error = (torch.tensor(side, dtype=DOUBLE) for side in (values, costs, errors))
    at_float = prop.holds(given - paid > error)
    assert strong.counted().tolist() == at_float.tolist()
    for row, level in enumerate(strong.claim):
        assert level == ("real" if strong.certified[row] and not at_float[row] else "float")


@pytest.mark.parametrize("claim", ["float", "real"])
def test_a_certifier_that_says_nothing_proves_at_level_real_and_is_asked_once(claim):
    certifier = told(torch.tensor([[1.0, 1.0], [-1e-3, 1.0]], dtype=DOUBLE))
    proof = asked(certifier, 2, claim=claim)
    assert (proof.claim, proof.certified.tolist()) == (("real", "real"), [True, False])
    assert proof.counted().tolist() == [claim == "real", False]
    assert len(certifier.calls) == 1


def test_a_cost_that_is_not_stated_was_not_paid():
    certifier = Paying(values=column([0.03]), cost=0.05, states=False)
    proof = asked(certifier, 1, claim="float")
    assert (proof.claim, proof.certified.tolist()) == (("float",), [False])
    assert len(certifier.proofs) == 1


def test_where_the_cost_is_unknown_level_real_is_tried():
    """Bounds of executions may overflow where those of the exact function do not."""
    proof = asked(Paying(values=column([0.5, 0.5]), cost=column([torch.inf, torch.nan])), 2, claim="float")
    assert (proof.claim, proof.certified.tolist()) == (("real", "real"), [True, True])


def test_the_cost_is_found_where_it_decides_something():
    found = []

    def bounds(value):
        def cost():
            found.append(value)
            return torch.full((2, 2), 0.1, dtype=DOUBLE)

        return lambda x, prop: Bounds(torch.full_like(prop.offsets, value), claim="float", float_cost=cost)

    assert bool(asked(Told(bounds=bounds(1.0)), 2, claim="float").certified.all())
    assert not found
    assert not bool(asked(Told(bounds=bounds(-1.0)), 2, claim="float").certified.any())
    assert found == [-1.0]


def test_the_error_of_the_bounds_counts_in_what_is_tried_again():
    """0.02 ± 0.05 at level "float" may be above zero at level "real", at a cost of 0, and in float64 it is."""
    certifier = Paying(values=column([0.02]), cost=0.001, error=0.05)
    assert asked(certifier, 1, claim="float").certified.tolist() == [False]
    assert [(claim, dtype) for claim, _, dtype, *_ in certifier.proofs] == [("float", DOUBLE), ("real", DOUBLE)]


@pytest.mark.parametrize(
    ("dtype", "widens", "expected"),
    [
        (SINGLE, True, [("float", SINGLE), ("real", DOUBLE)]),
        (SINGLE, False, [("float", SINGLE), ("real", SINGLE)]),
        (torch.float16, True, [("float", SINGLE), ("real", DOUBLE)]),
        (DOUBLE, True, [("float", DOUBLE), ("real", DOUBLE)]),
    ],
)
def test_level_real_is_tried_in_the_widest_type(dtype, widens, expected):
    @attrs.frozen(kw_only=True)
    class Narrow(Paying):
        pass

    Narrow.widens = widens
    certifier = Narrow(values=column([0.03]), cost=0.05)
    proof = asked(certifier, 1, dtype=dtype, claim="float")
    assert [(claim, kind) for claim, _, kind, *_ in certifier.proofs] == expected
    assert (proof.claim, proof.certified.tolist()) == (("real",), [True])
    assert proof.precision.tolist() == [torch.finfo(expected[-1][1]).bits]


def test_what_rounding_leaves_open_is_tried_in_float64_at_the_level_asked_for_first():
    def bounds(dear, x, prop):
        single, level = x.dtype == SINGLE, current_certificate().claim
        value, error = torch.full_like(prop.offsets, 0.01), torch.full_like(prop.offsets, 0.1 if single else 1e-9)
        cost = torch.full_like(value, dear)
        seen.append((level, x.dtype, len(x)))
        if level == "real":
            return Bounds(value, error=error)
        return Bounds(value - cost, error=error, claim="float", float_cost=cost)

    for dear, level, passes in ((0.005, "float", []), (0.02, "real", [("real", DOUBLE, 2)])):
        seen = []
        proof = asked(Told(bounds=partial(bounds, dear)), 2, dtype=SINGLE, claim="float")
        assert (proof.claim, proof.certified.tolist()) == ((level,) * 2, [True, True])
        assert proof.precision.tolist() == [64, 64]
        assert seen == [("float", SINGLE, 2), ("float", DOUBLE, 2), *passes]


def test_over_a_union_an_example_is_tried_again_on_all_members_where_none_is_hopeless():
    def bounds(x, prop):
        level, member = current_certificate().claim, len(seen) % 2
        seen.append((level, x[:, 0].tolist()))
        # for each example, by member: proved over both, over one at level "real" alone, and over one not at all
        value = torch.tensor([[1.0, 1.0], [1.0, 0.03], [0.03, -1.0]], dtype=DOUBLE)[x[:, 0].long(), member]
        value = value[:, None].expand_as(prop.offsets)
        cost = torch.full_like(value, 0.05)
        if level == "real":
            return Bounds(value)
        return Bounds(value - cost, claim="float", float_cost=cost)

    seen = []
    proof = asked(Told(bounds=bounds), 3, threat=Two(), claim="float")
    assert (proof.claim, proof.certified.tolist()) == (("float", "real", "float"), [True, True, False])
    assert seen == [("float", [0, 1, 2])] * 2 + [("real", [1])] * 2


def test_the_passes_of_a_certificate_share_its_memo_and_nothing_is_left_behind():
    certifier = Paying(values=column([1.0, 0.03, 1e-6]), cost=0.05, error=1e-4)
    asked(certifier, 3, dtype=SINGLE, claim="float", decide=True)
    assert len({memo for *_, memo in certifier.proofs}) == 1
    assert {decide for _, decide, *_ in certifier.proofs} == {True}
    assert {claim for claim, *_ in certifier.proofs} == {"float", "real"}
    assert current_certificate() is None
    with certificate_in_progress(DOUBLE, claim="float") as proof:
        proof.memo["kept"] = 1
        with at_level("real") as other:
            assert (other.claim, other.dtype, other.memo) == ("real", DOUBLE, {"kept": 1})
            other.memo["more"] = 2
        assert current_certificate() is proof
        assert proof.memo == {"kept": 1, "more": 2}


def test_a_direct_call_gives_the_optimum_and_decisions_ask_for_the_sign(tmp_path):
    certifier, (x, y), model = Paying(values=-1.0, cost=0.0), batch(), affine()
    x[:, 0] = 0
    certifier(model, x, y, Cube())
    inradius.radii(model, x, model(x).argmax(1), Cube(), certifier)
    assert [decide for _, decide, *_ in certifier.proofs][:2] == [False, True]
    mirror = attrs.make_class("Mirror", [], bases=(Cube,), frozen=True, kw_only=True)
    mirror.symmetric = True
    inradius.suspicious(model, x, mirror(), certifier)
    assert certifier.proofs[-1][1] is True
    data = inradius.Dataset.of(x, y, bounds=None)
    inradius.bracket(model, data, Cube(), attacks=[], certifiers=[certifier], folder=tmp_path)
    assert {decide for _, decide, *_ in certifier.proofs[1:]} == {True}


@pytest.mark.parametrize("given", ["sure", "solver", "probabilistic", None, ["float"], True])
def test_a_level_that_cannot_be_asked_for_is_refused(given):
    with pytest.raises(InputError, match=r"^claim=.* is not allowed; allowed are 'float' and 'real'$"):
        asked(Slope(), 3, claim=given)
    proof = asked(Slope(), 3)
    if given is not None:
        with pytest.raises(InputError, match=r"^claim=.* is not allowed; allowed are 'float' and 'real'$"):
            proof.counted(claim=given)


def test_what_counts_is_of_the_level_asked_for_or_stronger():
    assert DEFAULT_CLAIM in ("float", "real")
    assert [counts(level, "float") for level in CLAIMS] == [True, False, True, False]
    assert [counts(level, "real") for level in CLAIMS] == [True, True, True, False]
    for claim in ("float", "real"):
        assert counts("solver", claim, accept_solver=True)
    assert [weakest(CLAIMS[place:]) for place in range(4)] == ["solver"] * 4
    assert [weakest(CLAIMS[: place + 1]) for place in range(4)] == list(CLAIMS)


@pytest.mark.filterwarnings("default")
def test_radii_and_detection_say_what_they_leave_out_for_its_level():
    (x, _), model = batch(), affine()
    y = model(x).argmax(1)
    certifier = told(torch.tensor(1.0))
    said = r"3 more examples are certified at level real \(exact arithmetic on the stored weights\); claim='real' "
    with pytest.warns(UserWarning, match=said):
        found = inradius.radii(model, x, y, Cube(), certifier, claim="float")
    assert found.certified.tolist() == [0.0] * 3
    mirror = attrs.make_class("Mirror", [], bases=(Cube,), frozen=True, kw_only=True)
    mirror.symmetric = True
    with pytest.warns(UserWarning, match=said):
        assert inradius.suspicious(model, x, mirror(), certifier, claim="float").tolist() == [True] * 3
    assert inradius.suspicious(model, x, mirror(), certifier, claim="real").tolist() == [False] * 3
    assert bool((inradius.radii(model, x, y, Cube(), certifier, claim="real").certified > 0).all())


def test_covered_kernels_are_set_and_put_back():
    def state():
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        sums = matmul.allow_fp16_reduced_precision_reduction, matmul.allow_bf16_reduced_precision_reduction
        return cudnn.enabled, cudnn.allow_tf32, matmul.allow_tf32, *sums, torch._C._get_nnpack_enabled()

    before = state()
    with covered_kernels():
        assert state() == (False,) * 6
    assert state() == before
