"""Training on what attacks find: each method's loss is what it says, and its distinctive term is there."""

import math
import os
import subprocess
import sys

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import inradius
from inradius import Defense, load_weights
from inradius.processes import Processes
from inradius.training.attacked_batch import AttackedBatch, Perturbations
from inradius.training.losses import cross_entropy
from inradius.training.recipe import Recipe
from inradius.training.run import Run
from inradius.training.run_settings import OPTIMIZERS
from inradius.training.slots import Average
from inradius_training.adversarial.ddi import DDi
from inradius_training.adversarial.free import Free
from inradius_training.adversarial.wrong_classes import leads, wrong_classes

EPS = 0.1
SETS = ["linf(eps=0.1)", "l2(eps=0.5)", "l1(eps=1.0)", "union(linf(eps=0.1), l2(eps=0.5))"]
STEPS = "pgd(steps=3, step=0.5, keep_maximising=True)"
AIMED = "pgd(steps=3, step=0.5, objective=logit_difference(), keep_maximising=True)"
PER_EXAMPLE = [
    "adversarial(fgsm())",
    "adversarial(r_fgsm())",
    "adversarial(fgsm_rs())",
    "adversarial(n_fgsm())",
    "adversarial(msd(steps=3, keep_maximising=True))",
    f"adversarial(worst_part({STEPS}))",
    f"average_parts({STEPS})",
    f"adversarial(grow({STEPS}, start=0.2, factor=1.6, every=3, steps=12, limit=1.0))",
    "adversarial(n_fgsm(noise=0.667, step=0.333), scale=3.0)",
    "adversarial(r_fgsm(step=1.0))",
    "fat(friendly_pgd(steps=4))",
    f"beta_at({AIMED})",
    f"sbeta_at({AIMED})",
    f"ddi({STEPS}, k=3)",
    f"ddi({STEPS}, k=4, combine=True)",
]
ALL = [*PER_EXAMPLE, f"gairat({STEPS}, burn_in=0.0)"]


def network(inputs=6, classes=3, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Flatten(), nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, classes)]
        return nn.Sequential(*layers).double()


def linear(weight, bias=0.0):
    model = nn.Linear(len(weight[0]), len(weight)).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor(weight))
        model.bias.fill_(bias)
    return model


def examples(count=12, shape=(6,), classes=3, seed=1, mixed=False):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(count, *shape, generator=generator, dtype=torch.float64)
    data = inradius.Dataset.of(inputs, torch.arange(count) % classes, name="random")
    if not mixed:
        return data
    labels = F.one_hot(data.labels, classes).double()
    return attrs.evolve(data, targets=0.7 * labels + 0.3 * labels.roll(1, 0))


def engine(folder, model, defense, *, progress=1.0, classes=3, **options):
    recipe = Recipe(**({"epochs": 4} | options))
    processes = Processes(None, torch.device("cpu"))
    run = Run.open(
        folder,
        model=model,
        defense=defense,
        recipe=recipe,
        held_out=examples(),
        processes=processes,
        classes=classes,
    )
    run.progress = progress
    return run


def learn(folder, spec, threat="linf(eps=0.1, bounds=None)", *, model=None, data=None, **options):
    """The losses of a batch, the run, and the network."""
    model, data = model or network(), data or examples()
    defense = inradius.make(spec, Defense)
    run = engine(folder, model, defense, **options)
    return defense.loss(model.train(), data, inradius.make(threat), run), run, model


def each(model, data, deltas):
    """The logits under each perturbation, (k, B, C)."""
    return torch.stack([model(data.inputs + delta) for delta in deltas])


def rows(losses):
    """One row for each perturbation, (k, B)."""
    return losses if losses.ndim == 2 else losses[None]


@pytest.mark.parametrize("spec", ALL)
@pytest.mark.parametrize("threat", SETS)
def test_every_set_gives_a_loss_for_each_example_with_a_gradient(tmp_path, spec, threat):
    losses, run, model = learn(tmp_path, spec, threat)
    assert losses.shape[-1] == 12
    losses.sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    data, parts = examples(), inradius.make(threat)
    for delta in (run.seen.delta, *run.seen.found.candidates):
        at = parts.scaled(3.0) if "scale" in spec else parts
        assert bool(at.contains(delta, data.inputs, tol=1e-9).all())


@pytest.mark.parametrize("spec", PER_EXAMPLE)
def test_batch_mates_change_nothing(tmp_path, spec):
    whole, run, model = learn(tmp_path, spec, "linf(eps=0.1)")
    some = torch.tensor([7, 2, 5])
    half = run.defense.loss(model, examples().select(some), inradius.make("linf(eps=0.1)"), _fresh(run))
    torch.testing.assert_close(rows(whole)[:, some], rows(half), rtol=1e-9, atol=1e-9)


def _fresh(run):
    run.tape = type(run.tape)()
    return run


@pytest.mark.parametrize("spec", ALL)
def test_images_are_taken_as_flat_inputs_are(tmp_path, spec):
    flat, _, _ = learn(tmp_path, spec, "linf(eps=0.1)")
    images = attrs.evolve(examples(), inputs=examples().inputs.view(12, 1, 2, 3))
    square, _, _ = learn(tmp_path / "images", spec, "linf(eps=0.1)", data=images)
    torch.testing.assert_close(square, flat)


@pytest.mark.parametrize("spec", ALL)
def test_mixed_labels_reach_the_loss(tmp_path, spec):
    sure = attrs.evolve(examples(), targets=F.one_hot(examples().labels, 3).double())
    plain, *_ = learn(tmp_path / "a", spec)
    one_hot, *_ = learn(tmp_path / "b", spec, data=sure)
    mixed, *_ = learn(tmp_path / "c", spec, data=examples(mixed=True))
    torch.testing.assert_close(one_hot, plain, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(mixed, plain, rtol=1e-3)


@pytest.mark.parametrize("spec", ALL)
def test_radius_zero_is_the_clean_cross_entropy(tmp_path, spec):
    losses, run, model = learn(tmp_path, spec, "linf(eps=0)")
    clean = cross_entropy(model(examples().inputs), examples())
    weight = run.defense.weights(run.seen, run) if "gairat" in spec else 1.0
    torch.testing.assert_close(rows(losses), rows(weight * clean).expand_as(rows(losses)))


TWO = [[0.7, -0.4, 0.2, 0.9, -0.5, 0.3], [-0.1, 0.6, 0.5, -0.2, 0.4, -0.8]]


def shares(folder, spec):
    """How far each coordinate went in the direction that helps, as a share of the radius, of a linear model; the losses."""
    model, data = linear(TWO), examples(40, classes=2)
    losses, run, _ = learn(folder, spec, model=model, data=data, classes=2)
    ahead = (model.weight[1 - data.labels] - model.weight[data.labels]).detach()
    return run.seen.delta * ahead.sign() / EPS, losses, model, data


def test_fgsm_trains_at_the_corner(tmp_path):
    share, losses, model, data = shares(tmp_path, "adversarial(fgsm())")
    torch.testing.assert_close(share, torch.ones_like(share))
    margin = (model(data.inputs) * (1 - 2 * F.one_hot(data.labels, 2))).sum(1)
    reach = EPS * (model.weight[0] - model.weight[1]).abs().sum()
    torch.testing.assert_close(losses, F.softplus(margin + reach))
    assert not torch.allclose(losses, F.softplus(margin), rtol=1e-2)


def test_r_fgsm_trains_half_a_random_step_away(tmp_path):
    share, *_ = shares(tmp_path, "adversarial(r_fgsm())")
    assert {round(value, 6) for value in share.flatten().tolist()} == {0.0, 1.0}
    share, *_ = shares(tmp_path / "zeroed", "adversarial(r_fgsm(noise=0.0))")
    torch.testing.assert_close(share, torch.ones_like(share))
    # the full step ends at a half where the signs differ
    share, *_ = shares(tmp_path / "full", "adversarial(r_fgsm(step=1.0))")
    assert {round(value, 6) for value in share.flatten().tolist()} == {0.5, 1.0}


def test_fgsm_rs_trains_one_long_step_from_a_random_point(tmp_path):
    share, *_ = shares(tmp_path, "adversarial(fgsm_rs())")
    assert bool((share >= 0.25 - 1e-9).all())
    # a uniform start ends at the face from the share (1 + 1 / 4) / 2 of all points
    assert 0.5 < float((share > 1 - 1e-9).double().mean()) < 0.75
    short, *_ = shares(tmp_path / "short", "adversarial(fgsm_rs(step=0.001))")
    assert float(short.mean().abs()) < 0.15


def test_n_fgsm_trains_one_step_from_noise_of_two_radii(tmp_path):
    share, *_ = shares(tmp_path, "adversarial(n_fgsm())")
    # η + ε is beyond the face for η > 0, and beyond the other one for none
    assert 0.4 < float((share > 1 - 1e-9).double().mean()) < 0.6
    assert float(share.min()) >= -1 - 1e-9
    share, *_ = shares(tmp_path / "zeroed", "adversarial(n_fgsm(noise=0.0))")
    torch.testing.assert_close(share, torch.ones_like(share))


def test_n_fgsm_as_in_its_paper_is_neither_projected_nor_clamped(tmp_path):
    """Noise of two radii and a step of one, in a set of three radii that holds their sum."""
    spec = "adversarial(n_fgsm(noise=0.6666666666666666, step=0.3333333333333333), scale=3.0)"
    share, *_ = shares(tmp_path, spec)
    noise = share - 1
    assert float(noise.abs().max()) <= 2 + 1e-9
    # a fifth of the noise is at the face of its set: 0.2 · 2 + 0.8 · 1
    assert float(noise.abs().mean()) == pytest.approx(1.2, abs=0.1)
    assert float((share > 1.5).double().mean()) > 0.2
    projected, *_ = shares(tmp_path / "projected", spec.replace(", scale=3.0", ""))
    assert float(projected.max()) <= 1 + 1e-9


def by_hand(model, batches, eps, replays, lr, *, forget=False):
    """Algorithm 6 of the thesis in ℓ∞, without a box; the weights and δ it ends with."""
    delta = torch.zeros_like(batches[0].inputs)
    for batch in batches:
        if forget:
            delta = torch.zeros_like(delta)
        for _ in range(replays):
            here = delta[: len(batch)].clone().requires_grad_()
            model.zero_grad()
            loss = F.cross_entropy(model(batch.inputs + here), batch.labels)
            loss.backward()
            with torch.no_grad():
                delta[: len(batch)] = (here + eps * here.grad.sign()).clamp(-eps, eps)
                for parameter in model.parameters():
                    parameter -= lr * parameter.grad
    return torch.cat([p.detach().flatten() for p in model.parameters()]), delta


class Descent(torch.optim.SGD):
    """Without momentum."""


def free_run(folder, monkeypatch, sizes=(6, 6, 4), replays=3, **options):
    monkeypatch.setitem(
        OPTIMIZERS,
        "sgd",
        lambda parameters, **given: Descent(parameters, **given),
    )
    model, data = network(), examples(sum(sizes))
    defense = inradius.make(f"free(replays={replays})")
    settings = {
        "optimizer": "sgd",
        "momentum": 0.0,
        "lr": 0.5,
        "schedule": inradius.make("constant()"),
        "batch_size": 6,
        "epochs": 1,
    }
    run = engine(folder, model, defense, progress=0.0, **(settings | options))
    run.data = data
    return model, run, [attrs.evolve(part) for part in _split(data, sizes)]


def _split(data, sizes):
    return [data.select(part) for part in torch.arange(len(data)).split(sizes)]


def test_free_is_algorithm_six(tmp_path, monkeypatch):
    model, run, batches = free_run(tmp_path, monkeypatch)
    threat = inradius.make("linf(eps=0.1, bounds=None)")
    for batch in batches:
        run.defense.step(model.train(), batch, threat, run)
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    expected, delta = by_hand(network(), batches, 0.1, 3, 0.5)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(run.memory(run.defense)["delta"], delta)
    # without the perturbation that lasts from batch to batch, or without its ascent, the weights are others
    forgetful, _ = by_hand(network(), batches, 0.1, 3, 0.5, forget=True)
    clean, _ = by_hand(network(), batches, 0.0, 3, 0.5)
    assert float((weights - forgetful).abs().max()) > 1e-4
    assert float((weights - clean).abs().max()) > 1e-4


def test_fgsm_starts_from_the_perturbations_of_the_batch_before(tmp_path):
    model, batches = network(), _split(examples(16), (6, 6, 4))
    defense = inradius.make("adversarial(fgsm_rs(step=0.4), previous=True)")
    run = engine(tmp_path, model, defense, batch_size=6)
    threat, kept = inradius.make("linf(eps=0.1, bounds=None)"), torch.zeros(6, 6, dtype=torch.float64)
    for batch in batches:
        losses = defense.loss(model.eval(), batch, threat, run)
        point = (batch.inputs + kept[: len(batch)]).requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(point), batch.labels, reduction="sum"), point)
        delta = (kept[: len(batch)] + 0.04 * gradient.sign()).clamp(-0.1, 0.1)
        expected = F.cross_entropy(model(batch.inputs + delta), batch.labels, reduction="none")
        torch.testing.assert_close(losses, expected)
        kept = torch.cat([delta, kept[len(batch) :]])
        run.tape.begin(batch)
    torch.testing.assert_close(run.memory(defense)["delta"], kept)


def test_free_asks_for_one_pass_a_replay_at_points_of_the_set(tmp_path, monkeypatch):
    for place, spec in enumerate(SETS):
        model, run, batches = free_run(tmp_path / str(place), monkeypatch, sizes=(6, 3))
        seen = []
        model.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0].detach().clone()))
        threat = inradius.make(spec)
        for batch in batches:
            run.defense.step(model, batch, threat, run)
        assert [len(points) for points in seen] == [6] * 3 + [3] * 3
        for number, points in enumerate(seen):
            x = batches[number // 3].inputs
            assert bool(threat.contains(points - x, x, tol=1e-9).all())
        assert len(run.memory(run.defense)["delta"]) == 6


def test_the_learning_rate_of_free_moves_with_every_replay(tmp_path, monkeypatch):
    model, run, _ = free_run(tmp_path, monkeypatch, schedule=inradius.make("linear()"), epochs=2, sizes=(6, 6))
    rates = []
    monkeypatch.setattr(Descent, "step", lambda self: rates.append(self.param_groups[0]["lr"]))
    for _ in run.epochs():
        for batch in run.batches(run.data):
            run.defense.step(model, batch, inradius.make("linf(eps=0.1)"), run)
    assert rates == pytest.approx([0.5 * (1 - place / 12) for place in range(12)])


def test_free_tells_a_sampler_what_became_of_the_batch(tmp_path, monkeypatch):
    told = []
    model, run, batches = free_run(tmp_path, monkeypatch)

    @attrs.frozen(kw_only=True)
    class Listener(inradius.training.slots.Shuffled):
        observes = True

        def observe(self, labels, mistakes, run):
            told.append((labels, mistakes))

    run.recipe = attrs.evolve(run.recipe, sampler=Listener())
    run.defense.step(model, batches[0], inradius.make("linf(eps=0.1)"), run)
    assert [(len(labels), len(mistakes)) for labels, mistakes in told] == [(6, 6)]


def test_free_counts_examples_as_the_sampler_weighs_them(tmp_path, monkeypatch):
    model, run, batches = free_run(tmp_path, monkeypatch, sizes=(6,), replays=1)

    @attrs.frozen(kw_only=True)
    class Third(inradius.training.slots.Shuffled):
        def weights(self, labels, run):
            return 3.0 * (labels == 0)

    run.recipe = attrs.evolve(run.recipe, sampler=Third())
    run.defense.step(model, batches[0], inradius.make("linf(eps=0.1)"), run)
    alone = batches[0].select(batches[0].labels == 0)
    # two of six examples, three times each, are the mean of the two
    expected, _ = by_hand(network(), [alone], 0.1, 1, 0.5)
    torch.testing.assert_close(torch.cat([p.detach().flatten() for p in model.parameters()]), expected)


def small(folder, spec, **options):
    options = {"epochs": 3, "batch_size": 16, "lr": 0.05, "device": "cpu"} | options
    return inradius.train(spec, network().float(), _floats(), "linf(eps=0.05)", folder=folder, **options)


def _floats():
    data = examples(40)
    return attrs.evolve(data, inputs=data.inputs.float())


def test_free_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    class Stop(BaseException):
        pass

    whole = small(tmp_path / "whole", "free(replays=2)")
    step = Free.step

    def stopping(self, model, batch, threat, run):
        if run.epoch == 1:
            raise Stop
        step(self, model, batch, threat, run)

    monkeypatch.setattr(Free, "step", stopping)
    with pytest.raises(Stop):
        small(tmp_path / "parts", "free(replays=2)")
    monkeypatch.setattr(Free, "step", step)
    again = small(tmp_path / "parts", "free(replays=2)")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_free_refuses_the_slots_of_a_single_step(tmp_path):
    with pytest.raises(inradius.SpecError, match="update"):
        small(tmp_path, "free()", update="plain()")


def test_fat_waits_longer_as_the_run_goes_on():
    defense = inradius.make("fat()")
    assert [defense.tau(share) for share in (0.0, 0.41, 0.42, 0.74, 0.75, 1.0)] == [0, 0, 1, 1, 2, 2]
    assert inradius.make("fat(friendly_pgd(tau=1), later=())").tau(1.0) == 1


def test_fat_trains_where_the_attack_first_succeeds(tmp_path):
    model, data, threat = network(), examples(40), "linf(eps=0.3)"
    spec = "fat(friendly_pgd(steps=8, step=0.1, random_start=False))"
    early, run, _ = learn(tmp_path, spec, threat, model=model, data=data, progress=0.0)
    early = early.detach()
    fooled = model(data.inputs + run.seen.delta).argmax(1) != data.labels
    least = run.seen.found.withstood
    clean = model(data.inputs).argmax(1) != data.labels
    # what is wrong already stays where it is, and what withstands all steps makes them all
    assert bool((run.seen.delta[clean] == 0).all())
    assert bool((least[~fooled] == 8).all())
    assert int(fooled.sum()) > int(clean.sum())
    full, *_ = learn(
        tmp_path / "pgd",
        "adversarial(pgd(steps=8, step=0.1, random_start=False, keep_maximising=True))",
        threat,
        model=model,
        data=data,
    )
    assert bool((early <= full + 1e-9).all())
    # without the early stop the losses are those of PGD
    assert float((full.detach() - early)[fooled].min()) > 1e-3
    late, *_ = learn(tmp_path / "late", spec, threat, model=model, data=data, progress=1.0)
    assert bool((late[fooled] > early[fooled] + 1e-6).all())
    torch.testing.assert_close(late[~fooled], early[~fooled])
    same, *_ = learn(tmp_path / "same", spec[:-1] + ", later=())", threat, model=model, data=data, progress=1.0)
    torch.testing.assert_close(same, early)


def found(withstood, tried):
    delta = torch.zeros(len(withstood), 6, dtype=torch.float64)
    counts = torch.tensor(withstood), torch.full((len(withstood),), tried)
    return Perturbations(delta=delta, candidates=delta[None], trace={}, withstood=counts[0], tried=counts[1])


def test_the_weights_of_gairat(tmp_path):
    defense = inradius.make("gairat()")
    run = engine(tmp_path, network(), defense)
    weights = defense.weights(AttackedBatch(examples(4), found([0, 3, 7, 10], 10)), run)
    expected = torch.tensor([(1 + math.tanh(-1 + 5 * (1 - 2 * kappa / 10))) / 2 for kappa in (0, 3, 7, 10)])
    torch.testing.assert_close(weights, expected.double() / expected.double().mean(), rtol=1e-6, atol=0)
    assert float(weights.mean()) == pytest.approx(1)
    uniform = inradius.make("gairat(lam=50.0)").weights(AttackedBatch(examples(4), found([0, 3, 7, 10], 10)), run)
    torch.testing.assert_close(uniform, torch.ones_like(uniform))
    far = inradius.make("gairat(lam=-300.0)").weights(AttackedBatch(examples(4), found([0, 3, 7, 10], 10)), run)
    assert bool(far.isfinite().all())


def test_gairat_is_adversarial_training_until_its_burn_in_is_over(tmp_path):
    plain, *_ = learn(tmp_path / "plain", f"adversarial({STEPS})", "linf(eps=0.3)")
    before, *_ = learn(tmp_path / "before", f"gairat({STEPS})", "linf(eps=0.3)", progress=0.59)
    after, run, _ = learn(tmp_path / "after", f"gairat({STEPS})", "linf(eps=0.3)", progress=0.6)
    torch.testing.assert_close(before, plain)
    weights = run.defense.weights(run.seen, run)
    assert float(weights.max() - weights.min()) > 0.5
    torch.testing.assert_close(after, weights * plain)
    assert not weights.requires_grad
    # the image, the start and three steps are judged
    assert run.seen.found.tried.eq(5).all()


def test_gairat_wants_an_attack_that_tells(tmp_path):
    with pytest.raises(inradius.UnsupportedError, match=r"fgsm.* does not report"):
        learn(tmp_path, "gairat(fgsm())")
    with pytest.raises(inradius.UnsupportedError, match=r"friendly_pgd.* stops after a success"):
        learn(tmp_path / "stops", "gairat(friendly_pgd())", "linf(eps=0.3)", progress=0.0)


# Robey et al. 2023, appendix D: three classes in the plane, ℓ2 with ε = 0.8
PLANE = [[0.0, -1.0], [-1.0, 0.0], [1.0, 0.0]]
CORNER = inradius.Dataset.of(torch.tensor([[0.0, -1.0]], dtype=torch.float64), torch.tensor([0]), bounds=None)


def test_beta_at_trains_at_the_largest_margin_and_not_at_the_largest_cross_entropy(tmp_path):
    attack = "pgd(steps=200, step=0.2, objective=logit_difference(), keep_maximising=True)"
    ball = {"model": linear(PLANE), "data": CORNER}
    losses, run, model = learn(tmp_path, f"beta_at({attack})", "l2(eps=0.8, bounds=None)", **ball)
    logits = model(CORNER.inputs + run.seen.delta).detach()
    assert float(logits[0].amax() - logits[0, 0]) == pytest.approx(2 * 0.8 / math.sqrt(2) - 1, abs=1e-4)
    best = F.cross_entropy(
        torch.tensor([[1 - 0.8 / math.sqrt(2), 0.8 / math.sqrt(2), -0.8 / math.sqrt(2)]]), torch.tensor([0])
    )
    assert losses.item() == pytest.approx(float(best), abs=1e-3)
    usual = "adversarial(pgd(steps=200, step=0.2, keep_maximising=True))"
    standard, other, _ = learn(tmp_path / "ce", usual, "l2(eps=0.8, bounds=None)", model=linear(PLANE), data=CORNER)
    assert standard.item() == pytest.approx(0.96982, abs=1e-4)
    assert int(model(CORNER.inputs + other.seen.delta).argmax(1)) == 0


def test_beta_at_takes_the_candidate_of_the_largest_lead(tmp_path):
    losses, run, model = learn(tmp_path, f"beta_at({AIMED})", "linf(eps=0.3)")
    data, candidates = examples(), run.seen.found.candidates
    goals = wrong_classes(data.labels, 3)
    assert candidates.shape == (2, 12, 6)
    logits = each(model, data, candidates)
    best = leads(logits, goals, data.labels).argmax(0)
    assert set(best.tolist()) == {0, 1}
    several = cross_entropy(logits, data)
    torch.testing.assert_close(losses, several.gather(0, best[None])[0])
    assert not torch.allclose(losses, several[0])


def test_wrong_classes_are_all_but_the_label():
    labels = torch.tensor([0, 3, 2])
    goals = wrong_classes(labels, 4)
    assert goals.shape == (3, 3)
    for place, label in enumerate(labels.tolist()):
        assert sorted(goals[:, place].tolist()) == [j for j in range(4) if j != label]


def smooth_loss(logits, goals, data, mu):
    ahead = leads(logits, goals, data.labels)
    weights = torch.exp(mu * (ahead - ahead.amax(0)))
    return (weights * cross_entropy(logits, data)).sum(0) / weights.sum(0)


@pytest.mark.parametrize("mu", [0.0, 1.0, 7.0])
def test_sbeta_at_weighs_the_wrong_classes(tmp_path, mu):
    losses, run, model = learn(tmp_path, f"sbeta_at({AIMED}, mu={mu})", "linf(eps=0.3)")
    data = examples()
    logits = each(model, data, run.seen.found.candidates)
    torch.testing.assert_close(losses, smooth_loss(logits, wrong_classes(data.labels, 3), data, mu))
    assert torch.allclose(losses, cross_entropy(logits, data).mean(0)) == (mu == 0)


def test_sbeta_at_goes_to_beta_at(tmp_path):
    smooth, *_ = learn(tmp_path / "smooth", f"sbeta_at({AIMED}, mu=1e6)", "linf(eps=0.3)")
    best, *_ = learn(tmp_path / "best", f"beta_at({AIMED})", "linf(eps=0.3)")
    torch.testing.assert_close(smooth, best, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("detach", [False, True])
def test_the_gradient_of_sbeta_at_is_that_of_finite_differences(tmp_path, detach):
    data, threat = examples(), inradius.make("linf(eps=0.3)")
    losses, run, model = learn(tmp_path, f"sbeta_at({AIMED}, mu=3.0, detach_weights={detach})", "linf(eps=0.3)")
    weight = model[1].weight
    gradient = torch.autograd.grad(losses.sum(), weight)[0]
    candidates, goals = run.seen.found.candidates, wrong_classes(data.labels, 3)
    with torch.no_grad():
        held = (3.0 * leads(each(model, data, candidates), goals, data.labels)).softmax(0)

    def value(shift, place):
        with torch.no_grad():
            weight.view(-1)[place] += shift
            logits = each(model, data, candidates)
            weights = held if detach else (3.0 * leads(logits, goals, data.labels)).softmax(0)
            result = float((weights * cross_entropy(logits, data)).sum())
            weight.view(-1)[place] -= shift
        return result

    step = 1e-5
    differences = [(value(step, place) - value(-step, place)) / (2 * step) for place in range(0, weight.numel(), 7)]
    assert gradient.flatten()[::7].tolist() == pytest.approx(differences, rel=1e-5, abs=1e-7)
    other = run.defense.__class__(attack=run.defense.attack, mu=3.0, detach_weights=not detach)
    run.tape.rewind(data, anew=False)
    changed = torch.autograd.grad(other.loss(model, data, threat, run).sum(), weight)[0]
    assert not torch.allclose(changed, gradient, rtol=1e-3)


def test_a_second_gradient_keeps_the_choice_of_beta_at(tmp_path):
    _, run, model = learn(tmp_path, f"beta_at({AIMED})", "linf(eps=0.3)")
    data, delta = examples(), run.seen.delta.clone()
    run.tape.begin(data)
    run.defense.loss(model, data, inradius.make("linf(eps=0.3)"), run)
    with torch.no_grad():
        model[3].weight.neg_()
    run.tape.rewind(data, anew=False)
    run.defense.loss(model, data, inradius.make("linf(eps=0.3)"), run)
    assert torch.equal(run.seen.delta, delta)


def test_ddi_has_a_row_for_each_attack(tmp_path):
    losses, run, model = learn(tmp_path, f"ddi({STEPS}, k=3)")
    data = examples()
    torch.testing.assert_close(losses, cross_entropy(each(model, data, run.seen.found.candidates), data))
    assert len({tuple(row) for row in losses.tolist()}) == 3
    assert losses.shape == (3, 12)


def test_the_rows_of_ddi_decay():
    defense = inradius.make("ddi(decay=linear())")
    assert [defense.rows(share) for share in (0.0, 0.5, 0.99, 1.0)] == [10, 6, 1, 1]
    assert inradius.make("ddi()").rows(1.0) == 10


def test_two_attacks_make_many_rows(tmp_path):
    losses, run, _ = learn(tmp_path, f"ddi({STEPS}, k=6, combine=True)", data=examples(40))
    assert len(run.seen.found.candidates) == 2
    both = cross_entropy(run.seen.each(run.model), examples(40))
    assert losses.shape == (6, 40)
    first, second = ((losses == row).double() for row in both)
    assert bool((first + second >= 1).all())
    assert 0.35 < float(first.mean()) < 0.65
    assert len({tuple(row) for row in losses.tolist()}) == 6
    run.epoch = 1
    again = run.defense.loss(run.model, examples(40), inradius.make("linf(eps=0.1, bounds=None)"), _fresh(run))
    assert not torch.equal(first, (again == cross_entropy(run.seen.each(run.model), examples(40))[0]).double())


def test_ddi_descends_along_the_minimum_norm_unless_told_otherwise(tmp_path):
    assert DDi().slots() == {"direction": "min_norm()"}
    spec = f"ddi({STEPS}, k=4)"
    trained = {
        name: small(tmp_path / name, spec, optimizer="sgd", lr=0.5, epochs=1, **options)
        for name, options in {"own": {}, "named": {"direction": "min_norm()"}, "mean": {"direction": Average()}}.items()
    }
    weights = {name: torch.cat([p.flatten() for p in model.parameters()]) for name, model in trained.items()}
    assert torch.equal(weights["own"], weights["named"])
    assert not torch.allclose(weights["own"], weights["mean"], atol=1e-4)


UNION = "union(linf(eps=0.1, bounds=None), l2(eps=0.35, bounds=None))"


def part_losses(model, data):
    """The largest cross-entropy over each part, of a linear model of two classes, (2, B)."""
    ahead = (model.weight[1 - data.labels] - model.weight[data.labels])[:, None]
    margin = (model(data.inputs) * (1 - 2 * F.one_hot(data.labels, 2))).sum(1)
    return torch.stack(
        [F.softplus(margin + part.support(ahead, data.inputs)[:, 0]) for part in inradius.make(UNION).members()]
    )


def test_training_on_a_union(tmp_path):
    model, data = linear(TWO), examples(20, classes=2)
    parts = part_losses(model, data)
    worst, *_ = learn(
        tmp_path / "w", "adversarial(worst_part(fgsm(), keep_maximising=True))", UNION, model=model, data=data
    )
    torch.testing.assert_close(worst, parts.amax(0))
    average, *_ = learn(tmp_path / "a", "average_parts(fgsm())", UNION, model=model, data=data)
    torch.testing.assert_close(average, parts)
    steep = "adversarial(msd(steps=60, keep_maximising=True))"
    msd, *_ = learn(tmp_path / "m", steep, UNION, model=model, data=data)
    assert bool((msd <= parts.amax(0) + 1e-9).all())
    assert bool((msd > parts.amin(0) + 1e-3).all())
    # of one part they are all the same, and no longer the worst of two
    single, *_ = learn(tmp_path / "s", "average_parts(fgsm())", "linf(eps=0.1, bounds=None)", model=model, data=data)
    torch.testing.assert_close(single, parts[:1])
    assert not torch.allclose(worst, parts[0], rtol=1e-3)


@pytest.mark.parametrize("attack", ["msd(steps=8{})", "worst_part(pgd(steps=8{}))"])
def test_attacks_on_a_union_go_on_when_they_have_won(tmp_path, attack):
    quick, *_ = learn(tmp_path / "q", f"adversarial({attack.format('')})", "union(linf(eps=0.3), l2(eps=1.0))")
    full = attack.format(", keep_maximising=True")
    patient, *_ = learn(tmp_path / "p", f"adversarial({full})", "union(linf(eps=0.3), l2(eps=1.0))")
    assert torch.equal(quick, patient)


GROWING = "grow(frank_wolfe(), start={}, factor=2.0, every=3, steps=12, limit=1.0)"


def test_radii_grow_for_each_example_by_itself_and_stay_within_the_set(tmp_path):
    data = examples(10, shape=(1, 2, 3), classes=2)
    threat = inradius.make("wasserstein(eps=0.4)")
    model = network(6, 2, seed=3)
    attack = GROWING.format(0.2)
    _, run, _ = learn(tmp_path, f"adversarial({attack})", str(threat), model=model, data=data, classes=2)
    gauge = threat.gauge(run.seen.delta, data.inputs)
    assert bool(threat.contains(run.seen.delta, data.inputs).all())
    fooled = model(data.inputs + run.seen.delta).argmax(1) != data.labels
    wrong = model(data.inputs).argmax(1) != data.labels
    assert bool((run.seen.delta[wrong] == 0).all())
    assert 0 < int((fooled & ~wrong).sum()) < len(data)
    # of those that fall, some do before the set ends
    assert float(gauge[fooled & ~wrong].min()) < 0.9
    _, full, _ = learn(
        tmp_path / "whole", f"adversarial({GROWING.format(1.0)})", str(threat), model=model, data=data, classes=2
    )
    assert (
        float(threat.gauge(full.seen.delta, data.inputs)[fooled & ~wrong].mean())
        > float(gauge[fooled & ~wrong].mean()) + 0.05
    )


@pytest.mark.parametrize(
    "spec",
    [
        "adversarial(fgsm())",
        "free(replays=2, judge=fgsm())",
        "fat(friendly_pgd(steps=2))",
        "gairat(pgd(steps=2, keep_maximising=True), burn_in=0.0)",
        "ddi(n_fgsm(), k=2)",
        "beta_at(frank_wolfe(steps=2, objective=logit_difference(), keep_maximising=True))",
    ],
)
def test_methods_train_where_mass_moves(tmp_path, spec):
    data = examples(5, shape=(1, 2, 2), classes=2)
    options = {"epochs": 1, "batch_size": 4, "validation": 0.2, "device": "cpu", "lr": 0.05}
    trained = inradius.train(spec, network(4, 2), data, "wasserstein(eps=0.1)", folder=tmp_path, **options)
    assert all(bool(p.isfinite().all()) for p in trained.parameters())


@pytest.mark.parametrize("spec", [*ALL, "free(replays=2)"])
def test_every_method_trains(tmp_path, spec):
    trained = small(tmp_path, spec, epochs=1)
    assert not trained.training
    assert all(bool(p.isfinite().all()) for p in trained.parameters())


SPECS = [
    "free(replays=3, step_size=0.5, judge=fgsm())",
    "fat(later=(0.5,))",
    "gairat(lam=0, burn_in=0.1, bn_mode='train')",
    "beta_at(seed=3)",
    "sbeta_at(mu=4, detach_weights=True)",
    "ddi(k=3, decay=linear(), combine=True)",
    "adversarial(fgsm(), scale=2)",
    "friendly_pgd(steps=3, tau=2)",
    "grow(limit=1)",
    "logit_difference()",
]


@pytest.mark.parametrize("spec", SPECS)
def test_specs_build_equal_components(spec):
    component = inradius.make(spec)
    assert inradius.make(str(component)) == component == inradius.make(component.spec(full=True))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("free(replays=0)", "replays=0 is not allowed"),
        ("free(step_size=0)", "step_size=0"),
        ("fat(pgd())", "attack=pgd\\(\\) has no tau"),
        ("fat(later=(0.5, 0.4))", "later=.*growing shares"),
        ("fat(later=0.5)", "later=0.5"),
        ("gairat(lam='x')", "lam='x' is not allowed"),
        ("gairat(burn_in=2)", "burn_in=2.* is not allowed"),
        ("beta_at(attack=interval())", "attack=.*Attack"),
        ("sbeta_at(mu=-1)", "mu=-1"),
        ("sbeta_at(detach_weights=1)", "detach_weights=1"),
        ("ddi(k=0)", "k=0"),
        ("ddi(decay=pgd())", "decay=.*Schedule"),
        ("adversarial(scale=0)", "scale=0"),
        ("friendly_pgd(tau=-1)", "tau=-1"),
        ("grow(limit=0)", "limit=0"),
    ],
)
def test_wrong_parameters_are_named(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec)


SCRIPT = """
import sys, torch, inradius
for name, spec in {"ddi": "ddi(pgd(steps=2, keep_maximising=True), k=3)", "free": "free(replays=3)"}.items():
    options = {"epochs": 2, "batch_size": 128, "optimizer": "sgd", "lr": 0.05, "device": "cpu"}
    inradius.train(spec, "mlp(64, 16, 10)", "digits(split='train')", "linf(eps=0.05)", folder=f"{sys.argv[1]}-{name}", **options)
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for start, folder in (([sys.executable], "one"), (launch, "two")):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = [*start, str(script), str(tmp_path / folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    for name in ("ddi", "free"):
        one, two = (inradius.make("mlp(64, 16, 10)") for _ in range(2))
        load_weights(one, tmp_path / f"one-{name}" / "last.safetensors")
        load_weights(two, tmp_path / f"two-{name}" / "last.safetensors")
        for a, b in zip(one.parameters(), two.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
