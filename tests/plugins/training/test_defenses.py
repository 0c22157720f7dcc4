"""Defenses: their losses are what they say, and training with them improves what it should."""

import json

import attrs
import pytest
import torch
import torch.nn.functional as F
from defense_cases import batch, engine, network
from torch import nn

import inradius
from inradius_training.adversarial.adversarial import Adversarial
from inradius_training.adversarial.standard import Standard
from inradius_training.certification.certified import Certified
from inradius_training.certification.ramped import bound_loss, worst_logits

SETS = ["linf(eps=0.1)", "l2(eps=0.5)", "l1(eps=1.0)"]
DEFENSES = ["standard()", "adversarial(attack=pgd(steps=3, step=0.5, keep_maximising=True))", "certified()"]


def losses(folder, spec, threat="linf(eps=0.1)", model=None, progress=1.0):
    model = model or network()
    defense = inradius.make(spec, inradius.Defense)
    run = engine(folder, model, defense, progress)
    return defense.loss(model.train(), batch(), inradius.make(threat), run)


@pytest.mark.parametrize("spec", DEFENSES)
@pytest.mark.parametrize("threat", SETS)
def test_a_loss_is_one_number_per_example_with_a_gradient(tmp_path, spec, threat):
    model = network()
    value = losses(tmp_path, spec, threat, model)
    assert value.shape == (12,)
    value.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("spec", [*DEFENSES, "certified(certifier=dual())"])
@pytest.mark.parametrize("threat", SETS)
def test_a_loss_does_not_depend_on_batch_mates(tmp_path, spec, threat):
    model = network()
    defense, threat = inradius.make(spec, inradius.Defense), inradius.make(threat)
    run = engine(tmp_path, model, defense, 0.5)
    whole = defense.loss(model, batch(), threat, run)
    half = defense.loss(model, batch().select(torch.tensor([7, 2, 5])), threat, run)
    torch.testing.assert_close(whole[[7, 2, 5]], half, rtol=1e-9, atol=1e-9)


def test_standard_is_the_cross_entropy(tmp_path):
    model, data = network(), batch()
    expected = F.cross_entropy(model(data.inputs), data.labels, reduction="none")
    torch.testing.assert_close(losses(tmp_path, "standard()", model=model), expected)


@pytest.mark.parametrize("spec", DEFENSES[1:])
def test_radius_zero_is_standard_training(tmp_path, spec):
    clean = losses(tmp_path, "standard()", "linf(eps=0)")
    torch.testing.assert_close(losses(tmp_path, spec, "linf(eps=0)"), clean, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("certifier", ["interval()", "dual()"])
@pytest.mark.parametrize("threat", SETS)
def test_certified_loss_is_never_below_the_attacked_one(tmp_path, certifier, threat):
    attack = "adversarial(attack=pgd(steps=20, step=0.2, restarts=3, keep_maximising=True))"
    bound = losses(tmp_path, f"certified(certifier={certifier}, kappa=0.0)", threat)
    clean, attacked = losses(tmp_path, "standard()", threat), losses(tmp_path, attack, threat)
    assert (attacked >= clean - 1e-12).all()
    assert (bound >= attacked - 1e-9).all()


def test_worst_logits_give_the_cross_entropy_of_an_exact_bound():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0])
    others = torch.stack([torch.tensor([j for j in range(4) if j != y]) for y in labels])
    margins = logits.gather(1, labels[:, None]) - logits.gather(1, others)
    value = F.cross_entropy(worst_logits(margins), torch.zeros(5, dtype=torch.int64), reduction="none")
    torch.testing.assert_close(value, F.cross_entropy(logits, labels, reduction="none"))


def test_schedule_of_the_radius_and_of_the_mixture():
    defense = Certified(ramp=0.5, start=0.2, scale=1.5, kappa=0.4)
    shares = [0.0, 0.25, 0.5, 1.0]
    assert [defense.factor(t) for t in shares] == pytest.approx([0.3, 0.9, 1.5, 1.5])
    assert [defense.clean_weight(t) for t in shares] == pytest.approx([1.0, 0.7, 0.4, 0.4])
    abrupt = Certified(ramp=0.0, kappa=0.0)
    assert (abrupt.factor(0.0), abrupt.clean_weight(0.0)) == (1.0, 0.0)


def test_certified_training_asks_for_the_scheduled_radius(tmp_path):
    early, late = (losses(tmp_path, "certified(start=0.0, ramp=1.0)", progress=t) for t in (0.25, 0.75))
    model, data, defense = network(), batch(), Certified()
    clean = F.cross_entropy(model(data.inputs), data.labels, reduction="none")
    for value, share, kappa in ((early, 0.25, 0.875), (late, 0.75, 0.625)):
        lower = defense.bound(defense.certifier, model, data, inradius.make(f"linf(eps={0.1 * share})"))
        torch.testing.assert_close(value, kappa * clean + (1 - kappa) * bound_loss(lower))


def test_the_attack_draws_new_numbers_each_epoch_and_none_for_the_score(tmp_path):
    model, threat = network(), inradius.make("linf(eps=0.3)")
    defense = Adversarial(attack=inradius.make("pgd(steps=1, step=0.1, keep_maximising=True)"))
    run = engine(tmp_path, model, defense)
    first, scored = defense.loss(model, batch(), threat, run), defense.score(model, batch(), threat, run)
    assert torch.equal(first, defense.loss(model, batch(), threat, run))
    run.epoch = 1
    assert not torch.equal(first, defense.loss(model, batch(), threat, run))
    assert torch.equal(scored, defense.score(model, batch(), threat, run))


@pytest.mark.parametrize(("mode", "forwards"), [("eval", 1), ("train_notrack", 1), ("train", 4)])
def test_batch_norm_sees_the_attack_only_in_train_mode(tmp_path, mode, forwards):
    model = network(norm=True)
    attack = "pgd(steps=3, step=0.5, random_start=False, keep_maximising=True)"
    losses(tmp_path, f"adversarial(attack={attack}, bn_mode='{mode}')", model=model)
    assert (int(model[1].num_batches_tracked) == 1) == (forwards == 1)
    assert model.training


def test_scores(tmp_path):
    model, data, threat = network(), batch(), inradius.make("linf(eps=0.02)")
    defenses = [Standard(), Adversarial(), Certified()]
    clean, attacked, certified = (d.score(model, data, threat, engine(tmp_path, model, d)) for d in defenses)
    assert torch.equal(clean, model(data.inputs).argmax(1) == data.labels)
    assert (certified <= attacked).all()
    assert (attacked <= clean).all()


@pytest.mark.parametrize("spec", ["standard()", "adversarial(bn_mode='train', seed=2)", "certified(dual(), ramp=0.25)"])
def test_specs_build_equal_defenses(spec):
    defense = inradius.make(spec, inradius.Defense)
    assert inradius.make(str(defense)) == defense == inradius.make(defense.spec(full=True))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("adversarial(attack=interval())", "attack=.*Attack"),
        ("certified(certifier=pgd())", "certifier=.*Certifier"),
        ("adversarial(bn_mode='off')", "bn_mode"),
        ("certified(ramp=2)", "ramp=2 is not allowed"),
        ("certified(scale=0)", "scale=0 is not allowed"),
        ("certified(kappa=-1)", "kappa=-1 is not allowed"),
    ],
)
def test_wrong_parameters_are_named(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec)


@attrs.frozen
class Toy:
    """Data on which accuracy and robustness want different features, and the set."""

    data: inradius.Dataset
    threat: inradius.ThreatModel


@pytest.fixture(scope="module")
def toy():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    # the first feature is noisy, but survives the attack; the others are exact together, and the attack turns them all
    robust = 0.3 + 0.4 * labels + 0.1 * torch.randn(400, generator=generator)
    brittle = 0.5 + 0.05 * (labels[:, None] * 2.0 - 1) + 0.02 * torch.randn(400, 20, generator=generator)
    inputs = torch.cat([robust[:, None], brittle], 1).clamp(0, 1)
    return Toy(inradius.Dataset.of(inputs, labels, name="toy"), inradius.make("linf(eps=0.1)"))


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    def train(spec):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(21, 20), nn.ReLU(), nn.Linear(20, 2))
        options = {"epochs": 15, "batch_size": 50, "lr": 0.02, "device": "cpu"}
        return inradius.train(spec, model, toy.data, toy.threat, folder=tmp_path_factory.mktemp("run"), **options)

    return {spec.partition("(")[0]: train(spec) for spec in DEFENSES}


def figures(model, toy):
    data, threat = toy.data, toy.threat
    attacked = inradius.make("pgd(steps=20)")(model, data.inputs, data.labels, threat)
    proof = inradius.make("interval()")(model, data.inputs, data.labels, threat)
    clean = model(data.inputs).argmax(1) == data.labels
    return [float(x.float().mean()) for x in (clean, ~attacked.success, proof.certified)]


def test_each_defense_improves_what_it_should(trained, toy):
    clean, broken, unproved = figures(trained["standard"], toy)
    _, robust, _ = figures(trained["adversarial"], toy)
    _, withstood, proved = figures(trained["certified"], toy)
    assert clean > 0.97
    assert robust > broken + 0.08
    assert proved > unproved + 0.4
    assert broken < proved <= withstood


def test_model_selection_sees_nothing_but_the_training_data(tmp_path, monkeypatch):
    held_out = inradius.make("digits(split='held_out')").index.tolist()
    seen = set()
    score = Standard.score

    def spy(self, model, batch, threat, run):
        seen.update(batch.index.tolist())
        return score(self, model, batch, threat, run)

    monkeypatch.setattr(Standard, "score", spy)
    inradius.train("standard", "mlp(64, 16, 10)", "digits(split='train')", "linf(eps=0.1)", folder=tmp_path, epochs=2)
    assert seen
    assert not seen & set(held_out)
    assert json.loads((tmp_path / "run.json").read_text())["result"]["held_out"] == len(seen)


@pytest.mark.parametrize("spec", ["certified()", "crown_ibp()", "sabr()", "mtl_ibp()"])
def test_certified_training_refuses_mixed_labels(tmp_path, spec):
    mixed = attrs.evolve(batch(), targets=torch.full((len(batch()), 3), 1 / 3))
    defense = inradius.make(spec, inradius.Defense)
    run = engine(tmp_path, network(), defense)
    with pytest.raises(inradius.UnsupportedError, match="labels are mixed"):
        defense.loss(network(), mixed, inradius.make("linf(eps=0.1)"), run)


def test_mixed_labels_count_in_the_attack_and_in_the_loss(tmp_path):
    """With all of its weight on one class a mixed label is that label; elsewhere both the attack and the loss see it."""
    data, model, threat = batch(), network(), inradius.make("linf(eps=0.3)")
    defense = Adversarial(attack=inradius.make("pgd(steps=3, keep_maximising=True)"))
    plain = defense.loss(model, data, threat, engine(tmp_path, model, defense))
    whole = attrs.evolve(data, targets=F.one_hot(data.labels, 3).to(data.inputs.dtype))
    torch.testing.assert_close(defense.loss(model, whole, threat, engine(tmp_path, model, defense)), plain)
    even = attrs.evolve(data, targets=torch.full((len(data), 3), 1 / 3, dtype=data.inputs.dtype))
    run = engine(tmp_path, model, defense)
    mixed = defense.loss(model, even, threat, run)
    torch.testing.assert_close(mixed, -F.log_softmax(run.look(even).attacked(model), 1).mean(1))
    clean = -F.log_softmax(model(data.inputs), 1).mean(1)
    assert (mixed >= clean - 1e-12).all()
    assert (mixed > clean + 1e-3).any()
