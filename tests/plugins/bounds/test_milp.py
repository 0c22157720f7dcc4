"""The LP in HiGHS compared with cvxpy, and the MILP compared with brute force over the patterns of ReLUs."""

import itertools
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import Attack, Certifier, Property, ThreatModel, UnsupportedError
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.capture.trace import trace
from inradius_bounds.certifiers.lp import relaxed_minimum
from inradius_bounds.layout.forward import fold
from inradius_bounds.layout.layer_bounds import level_boxes
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.solvers.highs_program import HighsProgram
from inradius_bounds.solvers.linear_program import linear_program
from inradius_bounds.solvers.polytope import set_polytope

pytestmark = pytest.mark.skipif(find_spec("cvxpy") is None, reason="the LP needs cvxpy")
F64 = torch.float64
SETTINGS = settings(max_examples=8, deadline=None, derandomize=True)
POLYTOPES = ["linf(eps=0.2)", "linf(eps=0.3, bounds=None)", "l1(eps=0.5)", "box(lo=-0.1, hi=0.3)"]


def mlp(seed, sizes=(4, 6, 5, 3), activation=nn.ReLU):
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    for wide, narrow in itertools.pairwise(sizes):
        layers += [nn.Linear(wide, narrow), activation()]
    return nn.Sequential(*layers[:-1]).double()


def batch(count=2, seed=0, size=4):
    x = torch.rand(count, size, dtype=F64, generator=torch.Generator().manual_seed(seed))
    return x, torch.arange(count) % 3


def certified(kind, net, x, y, threat):
    with torch.no_grad():
        return inradius.make(kind, Certifier)(net, x, y, threat).lower


@pytest.mark.parametrize(
    "activation", [nn.ReLU, nn.Tanh, lambda: nn.Hardtanh(-0.2, 0.3)], ids=["relu", "tanh", "hardtanh"]
)
@pytest.mark.parametrize("spec", POLYTOPES)
def test_highs_and_cvxpy_find_the_same_optimum(spec, activation):
    net, (x, y) = mlp(1, activation=activation), batch()
    threat, chain = inradius.make(spec, ThreatModel), trace(net, x)
    values = ValueBounds(chain.network, x, threat, None)
    relax_curves(values, relax=smallest_area)
    rows, constant = fold(chain, Property.margins(y, 3, dtype=F64))
    boxes = [(lower[:1], upper[:1]) for lower, upper in level_boxes(chain, values)]
    polytope = set_polytope(threat, x[:1])
    ours, theirs = HighsProgram.of(chain, x[:1], boxes, polytope), linear_program(chain, x[:1], threat, boxes)
    for row in range(2):
        cost = rows[0, row].detach(), float(constant[0, row].detach())
        assert ours.minimise(*cost).optimum == pytest.approx(theirs.minimise(*cost).optimum, abs=1e-6)


@pytest.mark.parametrize("spec", [*POLYTOPES, "l2(eps=0.3)"])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid], ids=["relu", "sigmoid"])
def test_the_multipliers_prove_the_optimum(spec, activation):
    """The certificate is the LP's optimum, from above and below. alpha stays below it, but with lines that the LP does not have."""
    net, (x, y) = mlp(2, activation=activation), batch()
    threat = inradius.make(spec, ThreatModel)
    proved = certified("lp()", net, x, y, threat)
    optimum = relaxed_minimum(net, x, threat, Property.margins(y, 3, dtype=F64))
    torch.testing.assert_close(proved, optimum, rtol=0, atol=2e-5)
    assert bool((certified("crown()", net, x, y, threat) <= optimum + 1e-6).all())
    if activation is nn.ReLU:
        assert bool((certified("alpha(steps=10, keep_maximising=True)", net, x, y, threat) <= optimum + 1e-6).all())


def brute_force(net, x, y, threat):
    """The least margins over every pattern of the ReLUs, from one LP of scipy for each."""
    from scipy.optimize import linprog

    first, second = net[1], net[3]
    low, high = threat.hull(x)
    weights, bias = first.weight.detach().numpy(), first.bias.detach().numpy()
    rows = Property.margins(y, second.out_features, dtype=F64)
    found = torch.empty_like(rows.offsets)
    for example, row in itertools.product(range(len(x)), range(found.shape[1])):
        cost = (rows.weights[example, row] @ second.weight).detach().numpy()
        constant = float(rows.weights[example, row] @ second.bias.detach())
        start = weights @ x[example].numpy() + bias
        best = float("inf")
        for pattern in itertools.product([0.0, 1.0], repeat=len(bias)):
            on = torch.tensor(pattern).double().numpy()
            sign = 1 - 2 * on  # (1 − 2a) (W δ + s) ≤ 0
            box = list(zip(low[example].tolist(), high[example].tolist(), strict=True))
            solved = linprog((cost * on) @ weights, A_ub=sign[:, None] * weights, b_ub=-sign * start, bounds=box)
            if solved.status == 0:
                best = min(best, solved.fun + float((cost * on) @ start) + constant)
        found[example, row] = best
    return found


@SETTINGS
@given(seed=st.integers(0, 10**6), eps=st.sampled_from([0.05, 0.3, 1.0]))
def test_milp_is_the_minimum_over_all_patterns(seed, eps):
    net, (x, y) = mlp(seed, (3, 4, 3)), batch(1, seed, 3)
    threat = inradius.make(f"linf(eps={eps})", ThreatModel)
    exact = certified("milp()", net, x, y, threat)
    torch.testing.assert_close(exact, brute_force(net, x, y, threat), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_milp_is_the_minimum_over_the_patterns_of_twelve(seed):
    net, (x, y) = mlp(seed, (3, 12, 2)), batch(1, seed, 3)
    threat = inradius.make("linf(eps=0.4)", ThreatModel)
    y = y % 2
    torch.testing.assert_close(
        certified("milp()", net, x, y, threat), brute_force(net, x, y, threat), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("spec", POLYTOPES)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_bounds_in_their_order(spec, seed):
    """dual, crown, lp ≤ milp ≤ what an attack attains."""
    net, (x, y) = mlp(seed), batch(seed=seed)
    threat = inradius.make(spec, ThreatModel)
    exact = certified("milp()", net, x, y, threat)
    for kind in ("interval()", "dual()", "crown()", "lp()", "alpha(layers='all')"):
        assert bool((certified(kind, net, x, y, threat) <= exact + 1e-4).all()), kind
    attack = inradius.make("pgd(steps=25, restarts=2, objective=margin(), keep_maximising=True)", Attack)
    assert bool((exact.amin(1) <= attack(net, x, y, threat).margin + 1e-9).all())


def test_milp_of_a_graph():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x):
            h = F.relu(self.first(x))
            return self.out(F.relu(self.second(h) + x) - h)

    torch.manual_seed(0)
    net, (x, y) = Skip().double(), batch()
    threat = inradius.make("linf(eps=0.3)", ThreatModel)
    exact = certified("milp()", net, x, y, threat)
    assert bool((certified("crown()", net, x, y, threat) <= exact + 1e-4).all())
    attack = inradius.make("pgd(steps=60, restarts=6, objective=margin(), keep_maximising=True)", Attack)
    found = attack(net, x, y, threat).margin
    assert bool((exact.amin(1) <= found + 1e-9).all())
    torch.testing.assert_close(exact.amin(1), found, rtol=0, atol=2e-2)


def test_a_search_cut_short_still_bounds():
    net, (x, y) = mlp(3, (4, 12, 10, 3)), batch()
    threat = inradius.make("linf(eps=0.5)", ThreatModel)
    short, whole = (certified(kind, net, x, y, threat) for kind in ("milp(seconds=1e-3)", "milp()"))
    assert bool((short <= whole + 1e-4).all())
    assert bool((short >= certified("crown()", net, x, y, threat) - 1e-9).all())


@pytest.mark.parametrize(("net", "spec", "fragment"), [
    (mlp(0, activation=nn.Tanh), "linf(eps=0.1)", "is Tanh"),
    (mlp(0), "l2(eps=0.1)", "no polytope"),
])  # fmt: skip
def test_what_milp_refuses(net, spec, fragment):
    x, y = batch()
    with pytest.raises(UnsupportedError, match=fragment):
        certified("milp()", net, x, y, inradius.make(spec, ThreatModel))


def claimed(kind, net, x, y, threat, **options):
    return inradius.make(kind, Certifier)(net, x, y, threat, claim="real", **options)


@pytest.mark.parametrize("seed", [2, 3])
def test_what_milp_proves_beyond_crown_is_a_solvers_word(seed):
    """Where crown's bound settles an example the claim is real, and stands without the solver: it is counted as error."""
    net, x = mlp(seed, (4, 12, 10, 3)), batch(12, seed)[0]
    with torch.no_grad():
        net[-1].bias.sub_(net(x).mean(0))  # so that examples are near to a boundary
    y, seen = net(x).argmax(1), set()
    for eps in (0.05, 0.1):
        threat = inradius.make(f"linf(eps={eps})", ThreatModel)
        found, proved = claimed("milp()", net, x, y, threat), claimed("crown()", net, x, y, threat)
        assert found.claim == tuple("real" if settled else "solver" for settled in proved.certified.tolist())
        assert torch.equal(found.certified, (found.lower > found.error).all(1))
        assert torch.equal(found.counted(), proved.certified)
        assert bool((found.certified | ~proved.certified).all())
        real = proved.certified
        guaranteed, own = found.lower - found.error, proved.lower - proved.error
        assert bool((guaranteed[real] <= own[real] + 1e-12).all())
        seen |= {(claim, certain) for claim, certain in zip(found.claim, found.certified.tolist(), strict=True)}
    assert seen == {("real", True), ("solver", True), ("solver", False)}


def test_milp_keeps_a_clause_that_crown_proves_by_one_row():
    net, (x, _) = mlp(0), batch(6)
    threat = inradius.make("linf(eps=0.05)", ThreatModel)
    goal = net(x).argmin(1)
    found = claimed("milp()", net, x, None, threat, prop=Property.targeted(goal, 3, dtype=F64))
    proved = claimed("crown()", net, x, None, threat, prop=Property.targeted(goal, 3, dtype=F64))
    assert torch.equal(found.counted(), proved.certified)
    assert bool(proved.certified.any())


def test_a_cascade_tells_which_examples_rest_on_the_solver():
    net, (x, _) = mlp(1), batch(12, 1)
    y = net(x).argmax(1)
    threat = inradius.make("linf(eps=0.08)", ThreatModel)
    cheap, exact = (claimed(kind, net, x, y, threat) for kind in ("dual()", "milp()"))
    found = claimed("certifier_cascade(dual(), milp(), steps=0)", net, x, y, threat)
    assert torch.equal(found.certified, cheap.certified | exact.certified)
    settled = cheap.certified.tolist()
    assert found.claim == tuple("real" if done else claim for done, claim in zip(settled, exact.claim, strict=True))
