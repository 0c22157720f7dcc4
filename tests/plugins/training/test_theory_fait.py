"""The Bregman divergences of TRADES, FAIT and MER: what their lemma says, and where it ends."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

import inradius
from inradius import Attack, Dataset, Defense, ThreatModel
from inradius.training.losses import entropy, kl_divergence

seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0.001, 0.999)


def neg_entropy(p):
    return (p * p.log()).sum(-1), p.log() + 1


def squares(p):
    return p.square().sum(-1), 2 * p


POTENTIALS = [neg_entropy, squares]


def divergence(psi, p, q):
    """ψ(p) − ψ(q) − ⟨∇ψ(q), p − q⟩."""
    (at_p, _), (at_q, slope) = psi(p), psi(q)
    return at_p - at_q - (slope * (p - q)).sum(-1)


def monotone(psi, p, middle, q):
    """⟨p − p*, ∇ψ(p*) − ∇ψ(q)⟩, what R is above R'."""
    return ((p - middle) * (psi(middle)[1] - psi(q)[1])).sum(-1)


def excess(psi, p, middle, q):
    """R − R' = Δ(p, q) − Δ(p, p*) − Δ(p*, q)."""
    return divergence(psi, p, q) - divergence(psi, p, middle) - divergence(psi, middle, q)


def triples(seed, classes, count=64):
    """Distributions drawn uniformly from the simplex, three of (count, classes)."""
    rng = torch.Generator().manual_seed(seed)
    draws = -torch.rand(3, count, classes, generator=rng, dtype=torch.float64).log()
    return (draws / draws.sum(-1, keepdim=True)).unbind()


@given(seed=seeds, classes=st.integers(2, 10))
def test_the_divergence_of_the_negative_entropy_is_kl_and_of_squares_the_squared_distance(seed, classes):
    p, q, _ = triples(seed, classes)
    torch.testing.assert_close(divergence(neg_entropy, p, q), kl_divergence(q.log(), p.log()))
    torch.testing.assert_close(divergence(squares, p, q), (p - q).square().sum(-1))


@pytest.mark.parametrize("psi", POTENTIALS)
@given(seed=seeds, classes=st.integers(2, 10))
def test_three_point_identity(psi, seed, classes):
    """Δ(p, q) = Δ(p, p*) + Δ(p*, q) + ⟨p − p*, ∇ψ(p*) − ∇ψ(q)⟩, wherever p* is."""
    p, middle, q = triples(seed, classes)
    torch.testing.assert_close(excess(psi, p, middle, q), monotone(psi, p, middle, q), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("psi", POTENTIALS)
@given(seed=seeds, classes=st.integers(2, 10), share=shares)
def test_lemma_1_on_the_segment(psi, seed, classes, share):
    """R' ≤ R for p* = (1 − α) q + α p, since a convex ψ has a monotone gradient; of squares R − R' = 2 α (1 − α) ‖p − q‖²."""
    p, _, q = triples(seed, classes)
    middle = (1 - share) * q + share * p
    found = excess(psi, p, middle, q)
    assert (found >= -1e-12).all()
    if psi is squares:
        torch.testing.assert_close(found, 2 * share * (1 - share) * (p - q).square().sum(-1), rtol=1e-6, atol=1e-12)


def pair(value):
    return torch.tensor([value, 1 - value], dtype=torch.float64)


@pytest.mark.parametrize("psi", POTENTIALS)
@given(p=shares, middle=shares, q=shares)
def test_lemma_1_for_two_classes_is_about_who_is_in_the_middle(psi, p, middle, q):
    """Two classes: R' ≤ R exactly where p* is between p and q."""
    found = float(excess(psi, pair(p), pair(middle), pair(q)))
    if min(p, q) <= middle <= max(p, q):
        assert found >= -1e-12
    else:
        assert found <= 1e-12


def test_lemma_1_fails_off_the_segment():
    """p* is less sure of the label than p and as sure as q, and yet R' = 1.037 > R = 0.394."""
    rows = torch.tensor([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.4, 0.1, 0.5]], dtype=torch.float64)
    p, middle, q = rows
    whole = float(divergence(neg_entropy, p, q))
    parts = float(divergence(neg_entropy, p, middle) + divergence(neg_entropy, middle, q))
    assert whole == pytest.approx(0.8 * math.log(2) - 0.1 * math.log(5), abs=1e-12)
    assert parts == pytest.approx(0.8 * math.log(2) - 0.1 * math.log(5) + 0.4 * math.log(5), abs=1e-12)
    assert (whole, parts) == (pytest.approx(0.394, abs=5e-4), pytest.approx(1.037, abs=5e-4))
    # of squares: the angle at p* is acute
    assert float(excess(squares, p, middle, q)) < 0


@pytest.mark.parametrize(("classes", "holds"), [(3, 0.25), (10, 0.08)])
def test_how_often_it_holds_for_distributions_drawn_at_random(classes, holds):
    p, middle, q = triples(0, classes, count=100_000)
    share = float((excess(neg_entropy, p, middle, q) >= 0).double().mean())
    assert share == pytest.approx(holds, abs=0.01)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small network after adversarial training, and digits that it has not seen."""
    data = inradius.make("digits(split='train')", Dataset).take(600)
    model = inradius.train(
        "adversarial(pgd(steps=3))",
        "mlp(64, 64, 10)",
        data,
        "linf(eps=0.1)",
        folder=tmp_path_factory.mktemp("trained"),
        epochs=6,
        lr=0.005,
        validation=0.0,
    )
    return model.double(), inradius.make("digits", Dataset).take(300)


def along(trained, attack):
    """What R is above R', and R, of each example, with p* at the second of the ten iterates of an attack, two of (B,)."""
    model, data = trained
    x = data.inputs.double()
    iterates = {}
    threat = inradius.make("linf(eps=0.1)", ThreatModel)
    found = attack(model, x, data.labels, threat, observe=lambda step, delta: iterates.update({step: delta.clone()}))
    with torch.no_grad():
        p, middle, q = (model(x + delta).softmax(-1) for delta in (0, iterates[2], found.delta))
    extra = excess(neg_entropy, p, middle, q)
    torch.testing.assert_close(extra, monotone(neg_entropy, p, middle, q), rtol=1e-6, atol=1e-9)
    return extra, divergence(neg_entropy, p, q)


def told(extra, whole):
    """The share of examples with R' > R, and the means of R' and R."""
    return float((extra < 0).double().mean()), float((whole - extra).mean()), float(whole.mean())


def test_on_fait_s_own_ascent_the_lemma_holds(trained):
    """The attack of FAIT climbs the divergence itself from a point near x: R' > R for none of 300 examples."""
    share, between, direct = told(*along(trained, inradius.make("fait()", Defense).attack))
    # 0, .0049 and .0088; another machine may train a slightly different network
    assert share <= 0.01
    assert (between, direct) == (pytest.approx(0.0049, rel=0.2), pytest.approx(0.0088, rel=0.2))
    assert between < 0.7 * direct


def test_on_an_ascent_of_the_cross_entropy_it_holds_for_most(trained):
    """From a random start the second iterate may be as far from x as the last one, on no segment: up to 3 % have R' > R."""
    attack = inradius.make("pgd(steps=10, step=0.25, keep_maximising=True)", Attack)
    share, between, direct = told(*along(trained, attack))
    # .03, .0035 and .0061
    assert 0 < share <= 0.06
    assert (between, direct) == (pytest.approx(0.0035, rel=0.2), pytest.approx(0.0061, rel=0.2))


@given(first=shares, second=shares, toward=shares, again=shares)
def test_more_entropy_less_divergence_where_the_label_is_lost(first, second, toward, again):
    """Theorem 1, two classes: p of the label > 1/2 ≥ that of q; both moved towards 1/2, and KL(p ‖ q) falls."""
    p, q = 0.5 + first / 2, 0.5 - second / 2
    calmer_p, calmer_q = 0.5 + toward * (p - 0.5), 0.5 - again * (0.5 - q)
    for before, after in ((p, calmer_p), (q, calmer_q)):
        assert entropy(pair(after).log()) >= entropy(pair(before).log()) - 1e-12
    before, after = (divergence(neg_entropy, pair(a), pair(b)) for a, b in ((p, q), (calmer_p, calmer_q)))
    assert float(after) <= float(before) + 1e-12


@given(low=shares, width=shares, shift=shares)
def test_more_entropy_less_divergence_at_equal_distance(low, width, shift):
    """Theorem 2, two classes on one side of 1/2: both moved by the same towards 1/2, and KL(p ‖ q) falls."""
    q = 0.5 + low / 2
    p = q + width * (0.9999 - q)
    moved = shift * (q - 0.5)
    before = divergence(neg_entropy, pair(p), pair(q))
    after = divergence(neg_entropy, pair(p - moved), pair(q - moved))
    assert entropy(pair(p - moved).log()) >= entropy(pair(p).log()) - 1e-12
    assert float(after) <= float(before) + 1e-12
