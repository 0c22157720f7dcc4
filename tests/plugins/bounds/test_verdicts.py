"""``lp`` and ``milp`` in brackets and cascades: rows for a verdict alone, and solvers that fail."""

import itertools
import warnings
from importlib.util import find_spec

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import Bounds, Certifier, ExampleRNG, Property, ThreatModel
from inradius.certifiers.certificate_in_progress import certificate_in_progress
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.capture.trace import trace
from inradius_bounds.certifiers.cascade import CertifierCascade
from inradius_bounds.certifiers.milp import TOLERANCE, _sign
from inradius_bounds.layout.forward import fold
from inradius_bounds.layout.layer_bounds import level_boxes
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.solvers.agenda import Agenda
from inradius_bounds.solvers.highs_solver import HighsSolver, SearchTarget
from inradius_bounds.solvers.linear_program import LinearProgram
from inradius_bounds.solvers.polytope import set_polytope
from inradius_bounds.solvers.switched_program import SwitchedProgram

pytestmark = pytest.mark.skipif(find_spec("highspy") is None, reason="lp and milp need highspy")
F64 = torch.float64
SOLVERS = ["lp()", "milp()"]


def mlp(seed, sizes=(4, 8, 6, 4)):
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    for wide, narrow in itertools.pairwise(sizes):
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
    net = nn.Sequential(*layers[:-1]).double()
    with torch.no_grad():
        # the classes are compared alike
        net[-1].bias.sub_(net(torch.rand(200, sizes[0], dtype=F64)).mean(0))
    return net


def inputs(count, seed=0, dtype=F64):
    return torch.rand(count, 4, dtype=F64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def threat(eps):
    return inradius.make(f"linf(eps={eps})", ThreatModel)


def certificate(kind, net, x, eps, **options):
    certifier = inradius.make(kind, Certifier) if isinstance(kind, str) else kind
    options.setdefault("y", net(x).argmax(1))
    return certifier(net, x, options.pop("y"), threat(eps), **options)


class Asked:
    """Counts the calls of HiGHS, and fails at the chosen ones."""

    def __init__(self, monkeypatch, fails=lambda count: None):
        self.count, self.signs = 0, 0
        whole = HighsSolver.minimise

        def minimise(solver, columns, cost, sign=None, seconds=None):
            self.count += 1
            self.signs += sign is not None
            found = fails(self.count - 1)
            return whole(solver, columns, cost, sign, seconds) if found is None else found(solver)

        monkeypatch.setattr(HighsSolver, "minimise", minimise)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    eps=st.sampled_from([0.02, 0.05, 0.1, 0.2]),
    kind=st.sampled_from([*SOLVERS, "certifier_cascade(crown(), lp(), milp(), steps=0)"]),
    prop=st.sampled_from(["margins", "targeted", "top_k"]),
    dtype=st.sampled_from([torch.float32, F64]),
)
def test_the_verdict_is_that_of_every_rows_optimum(seed, eps, kind, prop, dtype):
    net, x = mlp(seed).to(dtype), inputs(4, seed, dtype)
    y = net(x).argmax(1)
    asked = {
        "margins": Property.margins(y, 4, dtype=dtype),
        "targeted": Property.targeted((y + 1) % 4, 4, dtype=dtype),
        "top_k": Property.top_k(y, 4, 2, dtype=dtype),
    }[prop]
    short, whole = (certificate(kind, net, x, eps, prop=asked, decide=decide) for decide in (True, False))
    assert torch.equal(short.certified, whole.certified)
    assert short.claim == whole.claim
    # a search that ends early still has a bound that holds
    exact = certificate("milp()", net, x, eps, prop=asked)
    assert bool((short.lower <= exact.lower + 1e-4).all())


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_direct_call_asks_for_every_row_and_a_bracket_for_what_the_verdict_waits_for(kind, monkeypatch):
    """None of an example that crown proves, one where the first is refuted, and no proved row."""
    net, x = mlp(2), inputs(12)
    crown = certificate("crown()", net, x, 0.1)
    whole = certificate(kind, net, x, 0.1)
    asked = Asked(monkeypatch)
    assert torch.equal(certificate(kind, net, x, 0.1).lower, whole.lower)
    assert (asked.count, asked.signs) == (12 * 3, 0)
    short = certificate(kind, net, x, 0.1, decide=True)
    first = crown.lower.argmin(1)
    lowest = whole.lower.gather(1, first[:, None])[:, 0]
    open_rows = (crown.lower <= crown.error).sum(1)
    # the lowest row of crown's decides where it is refuted; else every row that crown does not prove is asked for
    wanted = torch.where(lowest < 0, open_rows.clamp(max=1), open_rows)
    assert torch.equal(short.certified, whole.certified)
    assert 12 > int(crown.certified.sum()) > 0
    assert bool((lowest < 0).any())
    if kind == "lp()":
        assert asked.count - 12 * 3 == int(wanted.sum())
    else:
        assert 0 < asked.count - 12 * 3 <= int(open_rows.sum())
        assert asked.signs > 0


@pytest.mark.parametrize("kind", SOLVERS)
def test_members_of_a_cascade_are_asked_for_verdicts_alone(kind, monkeypatch):
    net, x = mlp(2), inputs(12)
    asked = Asked(monkeypatch)
    certificate(kind, net, x, 0.1, decide=True)
    alone = asked.count
    whole = certificate(f"certifier_cascade({kind}, steps=0)", net, x, 0.1)
    assert asked.count == 2 * alone
    assert torch.equal(whole.certified, certificate(kind, net, x, 0.1).certified)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    above=st.sampled_from([-0.3, -0.01, 0.0, 0.01, 0.3]),
    wide=st.sampled_from([0.0, 0.05]),
    added=st.sampled_from([-3.0, 0.0, 3.0]),
)
def test_a_search_for_a_sign_decides_as_the_optimum_does(seed, above, wide, added):
    """Between the two ends nothing is decided, and the bound is that of the optimum."""
    net, x = mlp(seed, (4, 10, 8, 3)), inputs(1, seed)
    the_set, chain = threat(0.3), trace(net, x)
    values = ValueBounds(chain.network, x, the_set, None)
    relax_curves(values, relax=smallest_area)
    rows, constant = (side.detach() for side in fold(chain, Property.margins(net(x).argmax(1), 3, dtype=F64)))
    program = SwitchedProgram.of(chain, x, level_boxes(chain, values), set_polytope(the_set, x), None)
    for row in range(2):
        asked = rows[0, row], float(constant[0, row]) + added
        least = program.minimise(*asked, None)
        sign = SearchTarget(least.value + above + wide, least.value + above)
        best = program.minimise(*asked, sign)
        assert best.bound <= least.value + 1e-6
        assert best.value >= least.value - 1e-6
        if above + wide < -1e-6:
            assert best.bound > sign.proved
        elif above > 1e-6:
            assert best.value < sign.refuted
        else:
            assert best.bound == pytest.approx(least.bound, abs=1e-3 * (1 + abs(least.value)))


@given(error=st.floats(0, 10), slack=st.floats(0, 10), least=st.floats(-20, 20))
def test_what_milp_looks_for_is_what_it_needs(error, slack, least):
    """A bound beyond the sign's end is above its error after the solver's tolerance, and not much further."""
    agenda = Agenda.of(
        Property(torch.eye(1), torch.zeros(1)), *(torch.tensor([end], dtype=F64) for end in (least, error, slack))
    )
    sign = _sign(agenda, 0)
    enough = sign.proved + 1e-9 * (1 + error)
    assert enough - TOLERANCE * (1 + enough) > error
    assert sign.proved <= error + 3 * TOLERANCE * (1 + error)
    assert sign.refuted == -(error + slack)
    assert _sign(attrs.evolve(agenda, decide=False), 0) is None
    assert _sign(attrs.evolve(agenda, error=torch.tensor([float("inf")])), 0) is None


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("claim", ["float", "real"])
def test_a_row_is_refuted_at_level_float_where_it_would_be_at_level_real_as_well(kind, claim, monkeypatch):
    """The cost of level float is room for a row, because its example is tried once more without that cost."""
    net, x, given = mlp(2).float(), inputs(4, dtype=torch.float32), []
    of = Agenda.of
    monkeypatch.setattr(Agenda, "of", lambda *asked: given.append(asked) or of(*asked))
    certificate(kind, net, x, 0.1, decide=True, claim=claim)
    slack = torch.stack([asked[3] for asked in given[:4]])
    assert bool((slack > 0).all()) == (claim == "float")
    prop = Property.margins(net(x).argmax(1), 4)
    with certificate_in_progress(torch.float32, claim=claim):
        crown = inradius.make("crown()", Certifier).lower_bound(
            net, x, threat(0.1), prop, ExampleRNG(0, torch.arange(4))
        )
    torch.testing.assert_close(slack, torch.zeros_like(slack) if crown.float_cost is None else crown.float_cost)


def broken(solver):
    raise ArithmeticError("a pivot of 0")


def given_up(status):
    """A solver that ends with this status for every cost."""

    def end(solver):
        return solver._none(f"HiGHS ended with {status}")

    return end


def not_a_number(solver):
    return attrs.evolve(solver._none(""), value=float("nan"), bound=float("nan"), failure="nan")


FAILURES = [broken, not_a_number, *map(given_up, ["kInfeasible", "kUnbounded", "kTimeLimit", "kUnknown"])]
WORDS = ["ArithmeticError: a pivot of 0", "nan", "kInfeasible", "kUnbounded", "kTimeLimit", "kUnknown"]


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize(("failure", "words"), list(zip(FAILURES, WORDS, strict=True)), ids=WORDS)
def test_a_failure_costs_one_row_its_optimum_and_nothing_else(kind, failure, words, monkeypatch):
    net, x = mlp(3), inputs(3)
    whole, crown = (certificate(name, net, x, 0.5) for name in (kind, "crown()"))
    assert float(whole.lower[1, 1]) > float(crown.lower[1, 1]) + 1e-3
    # the second row of the second example
    Asked(monkeypatch, lambda count: failure if count == 3 + 1 else None)
    with pytest.warns(RuntimeWarning) as told:
        found = certificate(kind, net, x, 0.5)
    assert len(told) == 1
    assert all(part in str(told[0].message) for part in (kind.split("(")[0], "row 1 of example 1", words))
    expected = whole.lower.clone()
    expected[1, 1] = crown.lower[1, 1]
    torch.testing.assert_close(found.lower, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("decide", [False, True])
def test_a_solver_that_always_fails_leaves_what_crown_proves(kind, decide, monkeypatch):
    net, x = mlp(2), inputs(6)
    crown = certificate("crown()", net, x, 0.1)
    Asked(monkeypatch, lambda count: broken)
    with pytest.warns(RuntimeWarning) as told:
        found = certificate(kind, net, x, 0.1, decide=decide)
    torch.testing.assert_close(found.lower, crown.lower)
    assert torch.equal(found.counted(), crown.certified)
    rows = int((crown.lower <= crown.error).sum()) if decide else found.lower.numel()
    assert len({str(each.message) for each in told}) == rows


def test_cvxpys_failures_are_a_rows_as_well(monkeypatch):
    net, x = mlp(2), inputs(2)
    ball = inradius.make("l2(eps=0.1)", ThreatModel)
    y = net(x).argmax(1)
    whole = inradius.make("lp()", Certifier)(net, x, y, ball)
    minimise, count = LinearProgram.minimise, itertools.count()
    monkeypatch.setattr(
        LinearProgram, "minimise", lambda *given: broken(None) if next(count) == 4 else minimise(*given)
    )
    with pytest.warns(RuntimeWarning, match="row 1 of example 1 "):
        found = inradius.make("lp()", Certifier)(net, x, y, ball)
    same = torch.ones_like(found.lower, dtype=torch.bool)
    same[1, 1] = False
    torch.testing.assert_close(found.lower[same], whole.lower[same], rtol=1e-6, atol=1e-6)
    assert float(found.lower[1, 1]) == pytest.approx(
        float(inradius.make("crown()", Certifier)(net, x, y, ball).lower[1, 1])
    )


def test_what_is_cvxpys_and_no_optimum_is_a_failure(monkeypatch):
    import cvxpy

    net, x = mlp(2), inputs(1)
    monkeypatch.setattr(cvxpy.Problem, "solve", lambda *given, **options: None)
    with pytest.warns(RuntimeWarning, match="CLARABEL ended with None"):
        found = inradius.make("lp()", Certifier)(net, x, net(x).argmax(1), inradius.make("l2(eps=0.1)", ThreatModel))
    assert bool(found.lower.isfinite().all())


@attrs.frozen(kw_only=True)
class Odd(Certifier):
    """Proves the examples at even places, and leaves the others without a bound."""

    widens = True

    def lower_bound(self, model, x, threat, prop, rng):
        even = (x[:, 0] * 100).round().long() % 2 == 0
        value = torch.where(even[:, None], torch.ones_like(prop.offsets), torch.full_like(prop.offsets, -torch.inf))
        return Bounds(value, error=torch.zeros_like(value))


def test_a_warning_names_the_example_by_its_place_in_the_callers_batch(monkeypatch):
    net, x = mlp(2), inputs(4)
    x[:, 0] = torch.tensor([0.0, 0.01, 0.02, 0.03])
    Asked(monkeypatch, lambda count: broken)
    inner = CertifierCascade(members=(Odd(), inradius.make("lp()", Certifier)), steps=0)
    crown = certificate("crown()", net, x, 0.3)
    assert not bool((crown.lower > crown.error)[1::2].any())
    for cascade in (inner, CertifierCascade(members=(Odd(), inner), steps=0)):
        with pytest.warns(RuntimeWarning) as told:
            certificate(cascade, net, x, 0.3)
        assert {str(each.message).split("example ")[1].split(" ")[0] for each in told} == {"1", "3"}


def test_no_warning_where_a_search_is_cut_short_on_demand():
    net, x = mlp(3, (4, 12, 10, 3)), inputs(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        short = certificate("milp(seconds=1e-3)", net, x, 0.5)
    assert bool((short.lower >= certificate("crown()", net, x, 0.5).lower - 1e-9).all())


def test_a_bound_to_train_on_is_that_of_every_row():
    """Without a certificate, and so without a verdict to wait for, bounds carry gradients."""
    net, x = mlp(2), inputs(2)
    bound = inradius.make("lp()", Certifier).bound(net, x, net(x).argmax(1), threat(0.1))
    torch.testing.assert_close(bound.detach(), certificate("lp()", net, x, 0.1).lower)
    bound.sum().backward()
    assert all(parameter.grad is not None for parameter in net[-1].parameters())


def test_without_hidden_layers_no_solver_is_asked(monkeypatch):
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).double(), inputs(2)
    asked = Asked(monkeypatch)
    found = certificate("lp()", net, x, 0.1)
    assert asked.count == 0
    torch.testing.assert_close(found.lower, certificate("crown()", net, x, 0.1).lower)
    assert not trace(net, x).hidden
    rng = ExampleRNG(0, torch.arange(2))
    prop = Property.margins(net(x).argmax(1), 3, dtype=F64)
    assert inradius.make("lp()", Certifier).lower_bound(net, x, threat(0.1), prop, rng).exact
