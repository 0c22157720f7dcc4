"""Every first-party component keeps the laws of its interface; the law kit itself is tested in test_law_kit.py."""

import pytest
import torch
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Attack, Certifier, Defense, Objective, ThreatModel
from inradius.components import registry
from inradius.testing import (
    check_attack,
    check_certifier,
    check_defense,
    check_layer_rule,
    check_objective,
    check_threat_model,
)
from inradius.testing.strategies import inputs
from inradius_bounds.rules.functions import RoundingLayer

# other radii, boxes and types are in the tests of each set
SETS = [
    "linf(eps=0.1)",
    "l2(eps=0.5)",
    "l1(eps=1.0)",
    "l1(eps=1.5, bounds=(-1.0, 2.0), k1=1, k2=3)",
    "l0(k=2)",
    "box(lo=-0.1, hi=0.3)",
    "patch(size=2, eps=0.4)",
    "affine(basis='ramps', eps=0.3)",
]
UNIONS = [
    "union(linf(eps=0.1), l2(eps=0.5))",
    "union(l1(eps=1.0, bounds=(-1.0, 2.0)), l2(eps=0.4, bounds=None), linf(eps=0.0))",
]
# answered by iteration, which takes its time
ITERATED = ["intersection(linf(eps=0.2), l2(eps=0.4))"]
# sets of images, whose inputs are never negative
IMAGES = ["wasserstein(eps=0.1)"]
ATTACKS = [
    "fgsm()",
    "pgd(steps=5)",
    "pgd(steps=3, restarts=2, objective=margin(), seed=4)",
    "pgd(steps=3, keep_maximising=True, objective=dlr())",
    "frank_wolfe(steps=5)",
    "frank_wolfe(steps=3, classes=2, restarts=2)",
    "msd(steps=4, restarts=2)",
    "worst_part(pgd(steps=3))",
    "grow(start=0.5, factor=1.5, every=2, steps=6)",
    "grow(start=0.5, factor=1.5, every=2, steps=6, limit=1.0)",
    "friendly_pgd(steps=4, tau=1)",
    "mim(steps=4)",
    "r_fgsm()",
    "fgsm_rs()",
    "n_fgsm()",
    "sparse_l1_descent(steps=4, quantile=0.5)",
    "apgd(steps=6)",
    "apgd_t(steps=4, classes=2)",
    "beta(steps=3)",
    "deepfool(steps=3)",
    "ddn(steps=3)",
    "fmn(steps=3)",
    "fab(steps=2)",
    "fab_t(steps=2)",
    "square(queries=12)",
    "restarts(pgd(steps=2), 2)",
    "attack_cascade(fgsm(), pgd(steps=2))",
]
# checked with all of their laws, on the sets that they take, in files of their own: they take their time, or one set alone
ELSEWHERE = [
    "spsa()",
    "uniform_noise()",
    "gaussian_noise()",
    "worst(fgsm(), pgd())",
    "if_zero_gradient(pgd())",
    "on_grid(pgd())",
    "eot(pgd())",
    "cw()",
    "ead()",
    "pdpgd()",
    "sigma_zero()",
    "smallest()",
    "boundary()",
    "hop_skip_jump()",
    "pointwise()",
    "salt_and_pepper()",
    "jsma()",
    "transfer(fgsm(), model='mlp(6, 3)')",
    "autoattack()",
    "inradius_suite()",
    "bab_attack()",
]
# other libraries' attacks, which are made where those are installed
ADAPTED = {"adv_lib", "foolbox", "torchattacks", "art"}
CERTIFIERS = ["interval()", "dual()", "crown()", "alpha(steps=3)", "lp()", "certifier_cascade(interval, dual, steps=2)"]
CERTIFIED_ELSEWHERE = ["milp()", "projected()", "branch_and_bound()"]
OBJECTIVES = [
    "cross_entropy()",
    "margin()",
    "dlr()",
    "targeted()",
    "targeted(dlr(), goal=1)",
    "logit_difference()",
    "kl()",
    "squared_distance()",
]
DEFENSES = [
    "standard()",
    "adversarial(attack=fgsm())",
    "certified()",
    "convex_adversarial()",
    "average_parts(fgsm())",
    "crown_ibp()",
    "sabr(attack=fgsm())",
    "mtl_ibp(attack=fgsm())",
    "network_cascade(standard(), stages=2)",
    "free(replays=2)",
    "fat(friendly_pgd(steps=2))",
    "gairat(pgd(steps=2, keep_maximising=True), burn_in=0.0)",
    "beta_at(pgd(steps=2, objective=logit_difference(), keep_maximising=True))",
    "sbeta_at(pgd(steps=2, objective=logit_difference(), keep_maximising=True))",
    "ddi(pgd(steps=2), k=3)",
    "trades(pgd(steps=2, noise=0.001, objective=kl(), keep_maximising=True))",
    "mart(pgd(steps=2, keep_maximising=True))",
    "score(pgd(steps=2, objective=squared_distance(), keep_maximising=True))",
    "fait(pgd(steps=3, noise=0.001, objective=kl(), keep_maximising=True))",
    "mer(pgd(steps=2, noise=0.001, objective=kl(), keep_maximising=True))",
    "fait_mer(pgd(steps=3, noise=0.001, objective=kl(), keep_maximising=True))",
]
# what the first three train is no classifier, and the last one has a second network; their tests hold their laws
TRAINED_ELSEWHERE = ["gan", "wgan_clip", "wgan_gradient_penalty", "wgan_spectral_norm", "hat(model='mlp(6, 3)')"]
LAYERS = [
    (RoundingLayer(torch.float32), (4,)),
    (RoundingLayer(torch.float16), (4,)),
    (nn.Linear(5, 3), (5,)),
    (nn.Linear(3, 2, bias=False), (2, 3)),
    (nn.ReLU(), (4,)),
    (nn.Flatten(), (2, 2, 2)),
    (nn.Flatten(2), (2, 2, 2)),
    (nn.Identity(), (3,)),
    (nn.Dropout(), (3,)),
    (nn.Dropout2d(), (2, 2, 2)),
    (nn.AvgPool2d(2), (2, 4, 4)),
    (nn.AvgPool2d(3, stride=2, padding=1), (2, 5, 5)),
    (nn.AvgPool2d((1, 2), ceil_mode=True, count_include_pad=False, padding=(0, 1)), (1, 3, 3)),
    (nn.BatchNorm1d(4), (4,)),
    (nn.BatchNorm2d(2, affine=False), (2, 3, 3)),
    (nn.Conv2d(2, 3, 3), (2, 5, 5)),
    (nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), (2, 6, 6)),
    (nn.Conv2d(2, 2, 2, dilation=2, padding=1, bias=False), (2, 5, 5)),
    (nn.Conv2d(1, 2, 3, padding="same"), (1, 4, 4)),
    (inradius.Normalize(mean=(0.1, 0.2), std=(0.3, 0.5)), (2, 3, 3)),
]


@pytest.mark.parametrize("spec", SETS)
def test_set(spec):
    check_threat_model(spec, shape=(1, 3, 3), examples=4)


@pytest.mark.parametrize("spec", UNIONS)
def test_union(spec):
    check_threat_model(spec, shape=(1, 3, 3), examples=4)


@pytest.mark.parametrize("spec", ITERATED)
def test_iterated_set(spec):
    check_threat_model(spec, shape=(1, 2, 2), examples=2)


@pytest.mark.parametrize("spec", IMAGES)
def test_set_of_images(spec):
    check_threat_model(spec, shape=(1, 3, 3), inputs=inputs((1, 3, 3)), examples=2)


def test_union_in_single_precision():
    check_threat_model(UNIONS[0], shape=(1, 3, 3), examples=4, dtype=torch.float32)


@pytest.mark.parametrize(("spec", "threat"), in_turn(ATTACKS, ["linf(eps=0.2)", "l1(eps=1.0)"]))
def test_attack(spec, threat):
    check_attack(spec, threat, shape=(1, 2, 3), examples=4)


@pytest.mark.parametrize("spec", ["pgd(steps=3)", "msd(steps=4, restarts=2)", "worst_part(pgd(steps=3))"])
def test_attack_on_a_union(spec):
    check_attack(spec, "union(linf(eps=0.2), l1(eps=1.1))", shape=(1, 2, 3), examples=4)


@pytest.mark.parametrize(
    ("spec", "threat"),
    in_turn(CERTIFIERS, ["linf(eps=0.2)", "l2(eps=0.5)", "l1(eps=1.0)", "union(linf(eps=0.2), l1(eps=1.1))"]),
)
def test_certifier(spec, threat):
    check_certifier(spec, threat, shape=(1, 2, 3), examples=4)


@pytest.mark.slow
@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "l2(eps=0.5)", "union(linf(eps=0.2), l1(eps=1.1))"])
def test_branch_and_bound(threat):
    check_certifier("branch_and_bound(seconds=5)", threat, shape=(1, 2, 3))


@pytest.mark.parametrize("threat", IMAGES)
@pytest.mark.parametrize("spec", CERTIFIERS)
def test_certifier_over_images(spec, threat):
    check_certifier(spec, threat, shape=(1, 2, 3), inputs=inputs((1, 2, 3)), examples=2)


@pytest.mark.parametrize("spec", OBJECTIVES)
def test_objective(spec):
    check_objective(spec)
    check_objective(spec, classes=3)


@pytest.mark.parametrize("spec", DEFENSES)
def test_defense(spec):
    check_defense(spec, "union(linf(eps=0.1), l2(eps=0.3))", examples=1)


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_layer_rule(layer, shape):
    generator = torch.Generator().manual_seed(0)
    for name, value in layer.state_dict().items():
        if value.is_floating_point():
            # numbers of either sign, but variances and the std of Normalize are positive
            least = 0.1 if name in ("running_var", "std") else -0.5
            value.copy_(torch.rand(value.shape, generator=generator) + least)
    check_layer_rule(layer, shape)


def test_every_layer_with_a_rule_is_here():
    # the laws of curves are checked in tests/plugins/bounds/test_graphs.py
    curves = {layer for layer, rule in registry.layer_rules().items() if isinstance(rule, inradius.ActivationRule)}
    covered = {type(layer) for layer, _ in LAYERS} | curves
    assert registry.layer_rules().keys() <= covered, "give the new rule's layer to LAYERS"


@pytest.mark.parametrize(
    ("kind", "specs"),
    [
        (ThreatModel, [*SETS, *UNIONS, *ITERATED, *IMAGES]),
        (Attack, [*ATTACKS, *ELSEWHERE]),
        (Certifier, [*CERTIFIERS, *CERTIFIED_ELSEWHERE]),
        (Objective, OBJECTIVES),
        (Defense, [*DEFENSES, *TRAINED_ELSEWHERE]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_every_component_is_here(kind, specs):
    covered = {inradius.make(spec, kind).spec_name() for spec in specs}
    found = {name for name, entry in registry.entries().items() if entry.kind is kind and "(inradius " in entry.origin}
    assert found - ADAPTED <= covered, "give the new component to its list"
