"""Certified training: each loss lies where its mathematics says, for every set, and training lowers it."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from defense_cases import batch, engine
from torch import nn

import inradius
from inradius import Defense, ThreatModel
from inradius_training.certification.crown_ibp import CrownIBP
from inradius_training.certification.shrunk import Shrunk

SETS = [
    "linf(eps=0.1)",
    "l2(eps=0.5)",
    "l1(eps=1.0)",
    "union(linf(eps=0.1), l2(eps=0.5))",
    "box(lo=-0.1, hi=0.3)",
    "patch(size=1, eps=0.4)",
    "wasserstein(eps=0.1)",
]
ATTACK = "pgd(steps=2, step=0.5, random_start=False, keep_maximising=True)"
METHODS = [
    "certified(certifier=dual())",
    "convex_adversarial()",
    "crown_ibp(ramp=1.0)",
    f"sabr(attack={ATTACK})",
    f"mtl_ibp(attack={ATTACK})",
]
PROJECTED = "certified(projected(estimator='median', projections=5), judge=interval())"


def deep():
    torch.manual_seed(3)
    layers = (nn.Flatten(), nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 3))
    return nn.Sequential(*layers).double()


def images():
    data = batch(6)
    return inradius.Dataset.of(data.inputs.view(-1, 1, 2, 3), data.labels, name="random")


def losses(folder, spec, threat, *, model=None, progress=1.0, epoch=0):
    model, defense = model or deep(), inradius.make(spec, Defense)
    run = engine(folder, model, defense, progress)
    run.epoch = epoch
    return defense.loss(model.train(), images(), inradius.make(threat, ThreatModel), run)


@pytest.mark.parametrize("spec", METHODS)
@pytest.mark.parametrize("threat", SETS)
def test_every_method_trains_on_every_set(tmp_path, spec, threat):
    model = deep()
    value = losses(tmp_path, spec, threat, model=model, progress=0.5)
    assert value.shape == (6,)
    value.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("spec", METHODS[1:])
def test_a_loss_does_not_depend_on_batch_mates(tmp_path, spec):
    model, defense, threat = deep(), inradius.make(spec, Defense), inradius.make("l2(eps=0.5)")
    run, part = engine(tmp_path, model, defense, 0.5), torch.tensor([4, 1])
    whole, two = (defense.loss(model, data, threat, run) for data in (images(), images().select(part)))
    torch.testing.assert_close(whole[part], two, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spec", METHODS[1:])
def test_radius_zero_is_standard_training(tmp_path, spec):
    clean = losses(tmp_path, "standard()", "linf(eps=0)")
    for progress in (0.0, 1.0):
        found = losses(tmp_path, spec, "linf(eps=0)", progress=progress)
        torch.testing.assert_close(found, clean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("threat", SETS)
def test_crown_ibp_goes_from_backward_bounds_to_intervals(tmp_path, threat):
    backward = losses(tmp_path, "certified(crown(inner='interval', intersect=False, best=False), kappa=0.0)", threat)
    interval = losses(tmp_path, "certified(kappa=0.0)", threat)
    torch.testing.assert_close(losses(tmp_path, "crown_ibp(beta=1.0)", threat), backward)
    torch.testing.assert_close(losses(tmp_path, "crown_ibp()", threat), interval)
    middle = losses(tmp_path, "crown_ibp(ramp=0.0, beta=0.5)", threat)
    # the loss is convex in the bounds
    assert (middle <= (backward + interval) / 2 + 1e-9).all()


@pytest.mark.parametrize("threat", SETS)
@pytest.mark.parametrize("progress", [0.0, 0.2, 1.0])
def test_convex_adversarial_is_the_dual_bound_alone_at_every_time(tmp_path, threat, progress):
    """CE of the dual's worst logits over the set at 0.1 of its radius at first, all of it from a third of the run on."""
    given, data, model = inradius.make(threat, ThreatModel), images(), deep()
    now = given.scaled(min(1.0, 0.1 + 0.9 * 3 * progress))
    lower = inradius.make("dual()").bound(model, data.inputs, data.labels, now, index=data.index, union="hull")
    worst = F.cross_entropy(F.pad(-lower, (1, 0)), torch.zeros(6, dtype=torch.int64), reduction="none")
    found = losses(tmp_path, "convex_adversarial()", threat, model=model, progress=progress)
    torch.testing.assert_close(found, worst)


def test_schedules_of_crown_ibp_are_those_of_certified():
    defense = CrownIBP(ramp=0.5, start=0.2, beta=0.4)
    shares = [0.0, 0.25, 0.5, 1.0]
    assert [defense.factor(t) for t in shares] == pytest.approx([0.2, 0.6, 1.0, 1.0])
    assert [defense.clean_weight(t) for t in shares] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert [defense.backward_weight(t) for t in shares] == pytest.approx([1.0, 0.7, 0.4, 0.4])


@pytest.mark.parametrize("spec", ["sabr", "mtl_ibp"])
def test_the_radius_and_the_clean_loss_go_as_in_certified(tmp_path, spec):
    early = losses(tmp_path, f"{spec}(attack=fgsm, start=0.0, ramp=1.0)", "linf(eps=0.2)", progress=0.25)
    clean, robust = (losses(tmp_path, each, "linf(eps=0.05)") for each in ("standard", f"{spec}(attack=fgsm)"))
    torch.testing.assert_close(early, 0.75 * clean + 0.25 * robust)


@pytest.mark.parametrize("threat", SETS)
def test_mtl_ibp_lies_between_the_attacked_and_the_certified_loss(tmp_path, threat):
    ends = [losses(tmp_path, f"mtl_ibp(attack={ATTACK}, alpha={alpha})", threat) for alpha in (0.0, 0.25, 1.0)]
    torch.testing.assert_close(ends[0], losses(tmp_path, f"adversarial({ATTACK})", threat))
    torch.testing.assert_close(ends[2], losses(tmp_path, "certified(kappa=0.0)", threat))
    assert all((low <= high + 1e-9).all() for low, high in pairwise(ends))
    torch.testing.assert_close(ends[1], 0.75 * ends[0] + 0.25 * ends[2])


@pytest.mark.parametrize("threat", SETS)
def test_sabr_lies_between_the_middle_of_its_small_set_and_the_certified_loss(tmp_path, threat):
    model, data, given = deep(), images(), inradius.make(threat, ThreatModel)
    delta = inradius.make(ATTACK)(model, data.inputs, data.labels, given).delta
    certified = losses(tmp_path, "certified(kappa=0.0)", threat)
    for small in (0.1, 0.5, 1.0):
        found = losses(tmp_path, f"sabr(attack={ATTACK}, small={small})", threat)
        middle = F.cross_entropy(model(data.inputs + (1 - small) * delta), data.labels, reduction="none")
        assert (found >= middle - 1e-9).all()
        assert (found <= certified + 1e-9).all()
    torch.testing.assert_close(found, certified)


def test_the_small_set_of_a_ball_is_a_small_ball():
    x = batch(5).inputs
    point = inradius.make("linf(eps=0.1, bounds=None)").sample(x)
    small = Shrunk(inradius.make("linf(eps=0.1, bounds=None)"), point, 0.25)
    low, high = small.hull(x)
    torch.testing.assert_close(low, 0.75 * point - 0.025)
    torch.testing.assert_close(high, 0.75 * point + 0.025)


@pytest.mark.parametrize("threat", SETS)
def test_a_small_set_lies_within_the_set_and_keeps_the_laws_of_oracles(threat):
    x, given = images().inputs, inradius.make(threat, ThreatModel)
    small = Shrunk(given, given.sample(x), 0.3)
    c = torch.randn(6, 4, 1, 2, 3, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    support, within = small.support(c, x), given.support(c, x)
    assert (support <= within + 1e-9).all()
    members = [small.sample(x), small.linear_max(c[:, 0], x), small.project(c[:, 1], x)]
    for delta in members:
        assert ((c * delta[:, None]).flatten(2).sum(2) <= support + 1e-9).all()
        assert small.contains(delta, x).all()
        if given.convex:
            assert given.contains(delta, x).all()
    low, high = small.span(c, x)
    assert (low <= support + 1e-9).all()
    assert (high >= support - 1e-9).all()
    part = small.select(torch.tensor([3, 0]))
    torch.testing.assert_close(part.support(c[[3, 0]], x[[3, 0]]), support[[3, 0]])


def test_projections_are_drawn_anew_each_epoch(tmp_path):
    first, again, later = (losses(tmp_path, PROJECTED, "linf(eps=0.1)", epoch=epoch) for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_checkpoints_are_compared_by_the_judge(tmp_path):
    data, threat = images(), inradius.make("linf(eps=0.02)")
    model = deep()
    for spec, certifier in (
        ("sabr()", "crown()"),
        ("mtl_ibp(judge=None)", "interval()"),
        ("crown_ibp()", "interval()"),
    ):
        defense = inradius.make(spec, Defense)
        score = defense.score(model, data, threat, engine(tmp_path, model, defense))
        lower = inradius.make(certifier).bound(model, data.inputs, data.labels, threat)
        assert torch.equal(score, (lower > 0).all(1))


@pytest.mark.parametrize("spec", [*METHODS, PROJECTED, "sabr(judge=None, small=0.1)", "mtl_ibp(dual(), alpha=0.01)"])
def test_specs_build_equal_defenses(spec):
    defense = inradius.make(spec, Defense)
    assert inradius.make(str(defense)) == defense == inradius.make(defense.spec(full=True))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sabr(small=0)", "small=0 is not allowed"),
        ("sabr(judge=fgsm())", "judge=.*Certifier"),
        ("mtl_ibp(alpha=1.5)", "alpha=1.5 is not allowed"),
        ("crown_ibp(beta=-1)", "beta=-1 is not allowed"),
        ("crown_ibp(backward=fgsm())", "backward=.*Certifier"),
        ("crown(inner='none')", "inner"),
    ],
)
def test_wrong_parameters_are_named(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec)


@pytest.mark.parametrize("spec", [*METHODS, PROJECTED])
def test_training_lowers_the_certified_loss(tmp_path, spec):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    inputs = (0.3 + 0.4 * labels[:, None] + 0.05 * torch.randn(60, 6, generator=generator)).clamp(0, 1)
    data, threat = inradius.Dataset.of(inputs, labels, name="two heaps"), inradius.make("linf(eps=0.05)")

    @torch.no_grad()
    def bound(model):
        lower = inradius.make("interval()").bound(model, inputs, labels, threat)
        return float(torch.log1p((-lower).exp().sum(1)).mean())

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    before = bound(model)
    options = {"epochs": 10, "batch_size": 20, "lr": 0.05, "device": "cpu"}
    trained = inradius.train(spec, model, data, threat, folder=tmp_path, **options)
    assert bound(trained) < 0.6 * before
