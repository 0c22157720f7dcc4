"""The parts of branch and bound: domains, multipliers, limits, leaves and cells."""

from fractions import Fraction

import attrs
import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel
from inradius.certifiers.certificate_in_progress import certificate_in_progress
from inradius.sets.region import BoxRegion
from inradius_bounds.backward import slope_ascent
from inradius_bounds.backward.certifier_bounds import values_of
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.backward.optimised_inner_bounds import tightened
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.search import example_search
from inradius_bounds.search.branching import points, scores
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.domain_bounds import DomainBounds
from inradius_bounds.search.domain_lines import DomainLines
from inradius_bounds.search.domain_queue import DomainQueue
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.leaf import solved, solved_in_box
from inradius_bounds.search.leaf_program import AffineDomain
from inradius_bounds.search.mean_rows import best_weights
from inradius_bounds.search.multiplier_ascent import raised
from inradius_bounds.search.neuron_search import NeuronSearch
from inradius_bounds.search.outcome import Outcome
from inradius_bounds.search.split_problem import SplitProblem

F64 = torch.float64
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "leaky": nn.LeakyReLU, "hardtanh": nn.Hardtanh}


class Noted(nn.Module):
    """A network of two hidden layers that keeps the inputs of its activations."""

    def __init__(self, activation):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(4, 2)])
        self.activation = ACTIVATIONS[activation]()

    def before(self, x):
        first = self.layers[0](x)
        return torch.cat([first, self.layers[1](self.activation(first))], dim=1)

    def forward(self, x):
        return self.layers[2](self.activation(self.layers[1](self.activation(self.layers[0](x)))))


def problem(seed, activation="relu", spec="l2(eps=0.8, bounds=None)", clauses=None):
    torch.manual_seed(seed)
    model = Noted(activation).double().eval()
    for weights in model.parameters():
        weights.data *= 1.5
    x, threat = torch.rand(1, 3, dtype=F64), inradius.make(spec, ThreatModel)
    prop = Property(torch.randn(3, 2, dtype=F64), torch.randn(3, dtype=F64), clauses)
    root = relax_curves(values_of(model, x, threat), relax=smallest_area).values
    return model, x, threat, SplitProblem(root, Clauses.of(prop.expand(1))), prop


@pytest.fixture(autouse=True)
def within_a_certificate():
    with certificate_in_progress(F64), torch.no_grad():
        yield


def split(asked, rounds, seed):
    """Domains after some rounds of splits at random numbers."""
    generator = torch.Generator().manual_seed(seed)
    domains = asked.whole(torch.arange(len(asked.clauses)))
    for _ in range(rounds):
        bounds = DomainBounds(asked, domains)
        weights = torch.rand(domains.low.shape, generator=generator)
        weights = weights.where(asked.layout.undecided(domains.low, domains.high), -1.0)
        best, number = weights.max(1)
        at = points(bounds).gather(1, number[:, None])[:, 0]
        kept = best >= 0
        halves = domains.select(kept).halves(number[kept], at[kept])
        domains = Domains.joined([halves, domains.select(~kept)])
    return domains


def members(model, x, threat, asked, domains, count=4000):
    """For each domain the members of Δ(x) in it, among random ones."""
    rng = inradius.ExampleRNG(0, torch.arange(count))
    many = x.expand(count, -1)
    inputs = many + threat.sample(many, rng=rng)
    starts = dict(zip(asked.layout.places, (0, 5), strict=True))
    own = torch.cat([starts[curve] + places for curve, places in asked.layout.places.items()])
    before = model.before(inputs)[:, own]
    inside = (before[None] >= domains.low[:, None]) & (before[None] <= domains.high[:, None])
    return inputs, inside.all(2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_every_multiplier_share_and_weight_gives_a_bound_of_the_domain(activation, seed):
    clauses = torch.tensor([[True, True, False], [False, True, True], [True, False, False]])
    model, x, threat, asked, prop = problem(seed, activation, clauses=clauses)
    domains = split(asked, 3, seed)
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randn(domains.low.shape, generator=random, dtype=F64).abs() * domains.side
    weights = torch.rand(domains.weights.shape, generator=random, dtype=F64) * asked.clauses.used[domains.clause]
    domains = attrs.evolve(
        domains, multiplier=drawn, share=torch.rand(drawn.shape, generator=random, dtype=F64), weights=weights
    )
    found = DomainBounds(asked, domains).proved().closed.safe[:, 0]
    inputs, inside = members(model, x, threat, asked, domains)
    rows = prop.values(model(inputs))
    for place in range(len(domains)):
        if bool(inside[place].any()):
            own = asked.clauses.index[domains.clause[place]]
            mean = (domains.weights[place] * rows[:, own]).sum(1)
            assert float(found[place]) <= float(mean[inside[place]].min())


class Skips(nn.Module):
    """A convolution, a residual block, and a dense layer that sees the block's input again."""

    def __init__(self, activation):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.dense, self.last, self.activation = nn.Linear(48, 6), nn.Linear(54, 3), ACTIVATIONS[activation]()

    def forward(self, x):
        hidden = self.activation(self.first(2 * x - 1))
        hidden = self.activation(self.second(hidden) + hidden).flatten(1)
        return self.last(torch.cat([self.activation(self.dense(hidden)), hidden], dim=1))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("spec", ["linf(eps=0.2)", "l2(eps=0.9)", "l1(eps=1.5, bounds=None)"])
def test_passes_in_the_reduced_form_are_those_through_the_network(spec, activation):
    torch.manual_seed(3)
    model, x, threat = (
        Skips(activation).double().eval(),
        torch.rand(1, 1, 4, 4, dtype=F64),
        inradius.make(spec, ThreatModel),
    )
    clauses = torch.tensor([[True, True, False], [False, False, True]])
    prop = Property(torch.randn(3, 3, dtype=F64), torch.randn(3, dtype=F64), clauses)
    root = relax_curves(values_of(model, x, threat), relax=smallest_area).values
    asked = SplitProblem(root, Clauses.of(prop.expand(1)))
    domains, random = split(asked, 3, 1), torch.Generator().manual_seed(1)
    shape = domains.low.shape
    domains = attrs.evolve(
        domains,
        multiplier=torch.randn(shape, generator=random, dtype=F64).abs() * domains.side,
        share=torch.rand(shape, generator=random, dtype=F64),
    )
    assert asked.reduced is not None
    found = DomainBounds(asked, domains).quick()
    whole = DomainBounds(asked, domains)
    whole.rough = DomainLines.of(asked.rough, asked.rough_layout, domains)
    torch.testing.assert_close(found.closed.value, whole.quick().closed.value)
    torch.testing.assert_close(found.met, whole.quick().met)
    torch.testing.assert_close(found.entry, whole.quick().entry)
    torch.testing.assert_close(scores_of(asked, domains, found), scores_of(asked, domains, found, whole.rough))


def scores_of(asked, domains, passed, rough=None):
    bounds = DomainBounds(asked, domains)
    if rough is not None:
        bounds.rough = rough
    return scores(bounds, passed.met, points(bounds))


@pytest.mark.parametrize("seed", range(3))
def test_an_ascent_never_lowers_a_bound(seed):
    _, _, _, asked, _ = problem(seed)
    bounds = DomainBounds(asked, split(asked, 2, seed))
    plain, better = bounds.quick().closed.value, bounds.quick(raised(bounds, 10, float("inf"))).closed.value
    assert bool((better >= plain).all())
    assert bool((better > plain + 1e-3).any())


@pytest.mark.parametrize("seed", range(3))
def test_the_halves_of_a_domain_contain_all_of_it(seed):
    model, x, threat, asked, _ = problem(seed)
    domains = split(asked, 3, seed)
    _, inside = members(model, x, threat, asked, domains)
    one = domains.clause == 0
    assert bool(inside[one].any(0).all())


def leaf(seed, n=4):
    rng = np.random.default_rng(seed)
    rows, limits = rng.normal(size=(2, n)), rng.normal(size=(3, n))
    return AffineDomain(rows, rng.normal(size=2), limits, rng.normal(size=3) + 1.0)


def best_of(domain, constraints):
    delta, top = cp.Variable(domain.rows.shape[1]), cp.Variable()
    asked = [top >= domain.rows @ delta + domain.constants, domain.limits @ delta + domain.room >= 0]
    asked += constraints(delta)
    found = cp.Problem(cp.Minimize(top), asked)
    found.solve(solver=cp.CLARABEL)
    return found.value


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("norm", [1, 2, "inf"])
def test_a_leaf_is_solved_over_a_ball_by_its_maximisers_alone(seed, norm):
    domain, radius = leaf(seed), 1.5
    spec = {1: "l1", 2: "l2", "inf": "linf"}[norm]
    threat, x = inradius.make(f"{spec}(eps={radius}, bounds=None)", ThreatModel), torch.zeros(1, 4, dtype=F64)
    found = solved(domain, lambda row: threat.linear_max(-torch.from_numpy(row)[None], x)[0].numpy(), 1e-8)
    expected = best_of(domain, lambda delta: [cp.norm(delta, norm) <= radius])
    if not np.isfinite(expected):
        assert found.low > 0
        return
    assert found.low <= expected + 1e-6
    assert found.low > 0 or found.high <= expected + 1e-5
    if found.delta is not None:
        assert np.max(domain.rows @ found.delta + domain.constants) <= found.high + 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_a_leaf_is_solved_over_a_box(seed):
    domain, low, high = leaf(seed), -np.ones(4), np.array([0.5, 1.0, 1.5, 2.0])
    found = solved_in_box(domain, low, high, 1e-8)
    expected = best_of(domain, lambda delta: [delta >= low, delta <= high])
    if not np.isfinite(expected):
        assert found.low > 0
        return
    assert found.low == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [1e200, float("inf")])
def test_a_leaf_over_members_that_overflow_has_no_answer(size):
    domain = AffineDomain(*(np.full(shape, 1e200) for shape in ((1, 2), 1, (1, 2), 1)))
    found = solved(domain, lambda row: np.where(row > 0, -size, size), 1e-8)
    assert found.delta is None
    assert not found.low > 0
    assert not solved_in_box(domain, np.full(2, -size), np.full(2, size), 1e-8).low > 0


def test_rows_of_a_clause_prove_it_together():
    slopes, heights = torch.tensor([[[[1.0], [-1.0]]]], dtype=F64), torch.tensor([[[0.1, 0.1]]], dtype=F64)
    weights = best_weights(slopes, heights, torch.ones(1, 1, dtype=F64), torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(weights, torch.full_like(weights, 0.5))


class Distance(nn.Module):
    """x and −x, of which one is at least 0 everywhere."""

    def forward(self, x):
        return torch.cat([x, -x], dim=1)


@pytest.mark.parametrize("x", [[0.0], [0.4]])
def test_a_clause_that_no_row_proves_alone_is_certified(x):
    prop = Property(torch.eye(2, dtype=F64), torch.full((2,), 1e-3, dtype=F64), torch.tensor([[True, True]]))
    x, threat = torch.tensor([x], dtype=F64), inradius.make("linf(eps=1.0, bounds=None)", ThreatModel)
    proof = inradius.make("branch_and_bound", Certifier)(Distance(), x, None, threat, prop=prop)
    assert bool(proof.certified)
    assert bool((proof.lower < 0).all())
    below = attrs.evolve(prop, offsets=prop.offsets - 2e-3)
    refuted = inradius.make("branch_and_bound", Certifier)(Distance(), x, None, threat, prop=below)
    assert not bool(refuted.certified)
    assert float((x + refuted.witness).abs()) <= 1e-3


@pytest.mark.parametrize("seed", range(2))
def test_splits_of_inputs_and_of_neurons_agree(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 2)).double().eval()
    x = torch.rand(1, 2, dtype=F64)
    region = BoxRegion(torch.full_like(x, -0.8), torch.full_like(x, 0.9))
    grid = torch.cartesian_prod(torch.linspace(-0.8, 0.9, 400), torch.linspace(-0.8, 0.9, 400)).double()
    values = model(x + grid)
    least = float((values[:, 0] - values[:, 1]).min())
    weights = torch.tensor([[1.0, -1.0]], dtype=F64)
    certifier = inradius.make("branch_and_bound(seconds=60)", Certifier)
    for room in (0.05, -0.01):
        prop = Property(weights, torch.tensor([room - least], dtype=F64))
        proof = certifier(model, x, None, region, prop=prop)
        assert bool(proof.certified) == (room > 0)
        assert (proof.witness is not None) == (room < 0)


def test_a_minimum_of_zero_is_left_undecided_or_refuted_and_never_certified():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double().eval()
    model[0].weight.data, model[2].weight.data = torch.eye(2, dtype=F64), torch.ones(1, 2, dtype=F64)
    prop = Property(torch.ones(1, 1, dtype=F64), torch.zeros(1, dtype=F64))
    for spec in ("l2(eps=1.0, bounds=None)", "linf(eps=1.0, bounds=None)"):
        proof = inradius.make("branch_and_bound", Certifier)(
            model, torch.tensor([[0.2, 0.3]], dtype=F64), None, inradius.make(spec, ThreatModel), prop=prop
        )
        assert not bool(proof.certified)


@pytest.mark.parametrize("scale", [3e38, 1e153])
def test_numbers_that_overflow_prove_nothing(scale):
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)).double().eval()
    for weights in model.parameters():
        weights.data.fill_(scale)
    prop = Property(torch.tensor([[-1.0]], dtype=F64), torch.tensor([1.0], dtype=F64))
    threat, x = inradius.make("linf(eps=1.0, bounds=None)", ThreatModel), torch.ones(1, 1, dtype=F64)
    assert not bool(
        inradius.make("branch_and_bound(seconds=5)", Certifier)(model, x, None, threat, prop=prop).certified
    )


def test_the_first_witness_of_a_search_is_kept():
    found = Outcome.of(2, torch.zeros(1, dtype=F64))
    for witness in (None, torch.ones(1, 3), None, torch.zeros(1, 3)):
        found.refute(witness)
    assert torch.equal(found.witness, torch.ones(1, 3))


def test_a_witness_violates_the_property_in_exact_arithmetic():
    """A row that rounding alone puts at or below 0 is no violation."""
    same, ball = nn.Linear(3, 3, bias=False).double().eval(), inradius.make("linf(eps=0.0, bounds=None)", ThreatModel)
    same.weight.data = torch.eye(3, dtype=F64)
    search, told = inradius.make("branch_and_bound(seconds=1)", Certifier), 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        x, w = torch.rand(1, 3, dtype=F64, generator=generator), torch.randn(1, 3, dtype=F64, generator=generator)
        prop = Property(w, -(w @ x[0]))
        exact = sum(Fraction(a) * Fraction(b) for a, b in zip(w[0].tolist(), x[0].tolist(), strict=True))
        proof = search(same, x, None, ball, prop=prop)
        assert proof.witness is None or exact + Fraction(prop.offsets.item()) <= 0
        told += proof.witness is not None
    assert told > 5


def test_a_limit_that_is_over_ends_the_ascents_before_a_search(monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)).double().eval()
    x, threat = torch.rand(1, 4, dtype=F64), inradius.make("linf(eps=0.3, bounds=None)", ThreatModel)
    with certificate_in_progress(F64, claim="real"):
        root = relax_curves(values_of(model, x, threat), relax=smallest_area).values
        whole = tightened(root, 5).values
        steps = iter([False, False, False])
        some = tightened(root, 5, lambda: next(steps, True)).values
        monkeypatch.setattr(slope_ascent, "_ascent", None)
        none = tightened(root, 5, lambda: True).values
    assert int(SplitProblem(root, Clauses.of(Property.margins(torch.tensor([0]), 3, dtype=F64))).undecided) > 4
    for node, (low, high) in root.boxes.items():
        for found in (whole, some, none):
            if node in found.boxes:
                assert bool(((found.boxes[node][0] >= low) & (found.boxes[node][1] <= high)).all())
    last = max(root.network.curve_inputs, key=root.network.place.__getitem__)
    width = [float((found.boxes[last][1] - found.boxes[last][0]).sum()) for found in (whole, some, none)]
    assert width[0] < width[2]
    assert width[1] <= width[2]


@pytest.mark.parametrize("spec", ["linf(eps=0.05)", "l2(eps=0.05)"])
@pytest.mark.parametrize("seed", range(2))
def test_what_the_rounding_of_the_model_hides_is_proved_at_level_real(seed, spec, monkeypatch):
    """Between the least value and the least value minus the error of an execution, one search proves the weaker claim."""
    monkeypatch.setattr(example_search, "_UNDECIDED", 4)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 2)).eval()
    # large values that cancel
    model[2].bias.data += 3000
    model[4].weight.data[0] = model[4].weight.data[1] + 0.05 * torch.randn(40)
    x, threat = torch.rand(1, 3), inradius.make(spec, ThreatModel)
    certifier = inradius.make("branch_and_bound(seconds=20)", Certifier)
    rows, none = torch.tensor([[1.0, -1.0]], dtype=F64), torch.zeros(1, dtype=F64)
    values = Property(rows, none).values(
        model(x + threat.sample(x.expand(2000, -1), rng=inradius.ExampleRNG(0, torch.arange(2000)))).double()
    )
    levels = {}
    for room in (-1e-2, 2e-3, 1e-2, 1.0):
        proof = certifier(model, x, None, threat, prop=Property(rows, room - values.amin(0)))
        levels[room] = proof.claim[0] if bool(proof.certified) else "none"
    assert (levels[-1e-2], levels[1.0]) == ("none", "float")
    assert "real" in levels.values()


@pytest.mark.parametrize("spec", ["linf(eps=0.3, bounds=None)", "l2(eps=0.4, bounds=None)"])
def test_without_domains_the_bounds_are_those_of_crown(spec):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)).double().eval()
    x, threat = torch.randn(8, 6, dtype=F64), inradius.make(spec, ThreatModel)
    y = model(x).argmax(1)
    none, crown = (
        inradius.make(name, Certifier)(model, x, y, threat) for name in ("branch_and_bound(domains=0)", "crown")
    )
    assert torch.equal(none.certified, crown.certified)
    assert 0 < int(none.certified.sum()) < 8
    assert none.witness is None
    torch.testing.assert_close(none.lower, crown.lower)


def line_network(seed):
    """A ReLU network of one input and one output, and its exact minimum over −1 ≤ x ≤ 1."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(1, 6), nn.ReLU(), nn.Linear(6, 1)).double().eval().requires_grad_(False)
    w, b, v, c = (list(map(Fraction, each.flatten().tolist())) for each in model.parameters())
    kinks = [-bias / weight for weight, bias in zip(w, b, strict=True) if weight]
    ends = [Fraction(-1), Fraction(1), *(kink for kink in kinks if abs(kink) < 1)]
    values = [c[0] + sum(o * max(a * x + d, Fraction(0)) for a, d, o in zip(w, b, v, strict=True)) for x in ends]
    return model, min(values)


def test_the_bound_of_an_undecided_tie_is_not_above_the_minimum():
    ball, search = (
        inradius.make("l2(eps=1.0, bounds=None)", ThreatModel),
        inradius.make("branch_and_bound(seconds=2)", Certifier),
    )
    for seed in (0, 1, 34, 48):
        model, least = line_network(seed)
        prop = Property(torch.ones(1, 1, dtype=F64), torch.tensor([-float(least)], dtype=F64))
        for claim in ("real", "float"):
            proof = search(model, torch.zeros(1, 1, dtype=F64), None, ball, prop=prop, claim=claim)
            assert Fraction(proof.lower.item()) - Fraction(proof.error.item()) <= least + Fraction(prop.offsets.item())


def test_domains_that_a_witness_leaves_unsplit_count_in_the_bound(monkeypatch):
    model, _ = line_network(0)
    x, threat = torch.zeros(1, 1, dtype=F64), inradius.make("linf(eps=1.0, bounds=None)", ThreatModel)
    prop = Property(torch.ones(1, 1, dtype=F64), torch.zeros(1, dtype=F64))
    with certificate_in_progress(F64, claim="real"):
        root = relax_curves(values_of(model, x, threat), relax=smallest_area).values
        problem = SplitProblem(root, Clauses.of(prop))
        search = NeuronSearch(problem, None, 1e-9, 1e-7, 64, 4, 64)
        found, queue = Outcome.of(1, x), DomainQueue(64)
        whole = problem.whole(torch.tensor([0, 0]))
        both = attrs.evolve(whole, bound=torch.tensor([-0.5, -3.0], dtype=F64), number=torch.tensor([-1, 0]))

        def solve(search, found, domain):
            found.refute(x)
            found.close(domain.clause, domain.bound)

        monkeypatch.setattr(NeuronSearch, "_solve", solve)
        search._split(found, queue, both)
        assert search._ended(found, queue).bound.tolist() == [-3.0]


def test_a_witness_lies_in_the_set_whose_size_is_not_rounded_to_the_type_of_the_input():
    # 0.1 in float32 is larger than 0.1
    model = nn.Linear(1, 1).requires_grad_(False)
    model.weight.fill_(-1)
    model.bias.fill_(0.1)
    x, threat = torch.zeros(1, 1), inradius.make("linf(eps=0.1, bounds=None)", ThreatModel)
    prop = Property(torch.ones(1, 1), torch.zeros(1))
    proof = inradius.make("branch_and_bound(seconds=5)", Certifier)(model, x, None, threat, prop=prop)
    assert (bool(proof.certified), proof.claim, proof.witness) == (True, ("real",), None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(("spec", "order"), [("linf(eps=0.1)", np.inf), ("l2(eps=0.125)", 2), ("l1(eps=0.3)", 1)])
def test_witnesses_near_the_surface_are_found_within_it(spec, order, dtype):
    threat, search = inradius.make(spec, ThreatModel), inradius.make("branch_and_bound(seconds=5)", Certifier)
    for seed in range(4):
        torch.manual_seed(seed)
        model, x = nn.Linear(3, 1).to(dtype).requires_grad_(False), torch.full((1, 3), 0.5, dtype=dtype)
        row = model.weight.double()
        reach = threat.support(row[None], x.double())[0, 0]
        least = float(model(x).double() - reach + 16 * torch.finfo(dtype).eps)
        prop = Property(torch.ones(1, 1, dtype=dtype), torch.tensor([-least], dtype=dtype))
        proof = search(model, x, None, threat, prop=prop)
        assert proof.witness is not None
        assert float(proof.witness.double().flatten().norm(p=order)) <= threat.eps * (1 + 1e-15)
