"""Attacks of other libraries as components: with stand-ins for the libraries, and with the libraries where they are there."""

import random
import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import attrs
import numpy as np
import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, InputError, PluginError, PluginWarning, SpecError, UnsupportedError, make
from inradius.testing import check_attack
from inradius.testing.attacks import batch_mates_change_nothing

X = torch.tensor([[0.2, 0.6, 0.5], [0.9, 0.0, 0.4], [0.5, 0.5, 0.0]])
Y = torch.tensor([0, 1, 0])


class Sign:
    """One step along the sign of the gradient from a random point, as torchattacks has them."""

    seen = ()

    def __init__(self, model, eps=0.3, alpha=1.0, overshoot=0.0, random_start=False):
        assert next(model.parameters()).device == torch.device("cpu")
        self.model, self.eps, self.alpha = model, eps, alpha
        self.overshoot, self.random_start = overshoot, random_start
        self.supported_mode, self.aim = ["default", "targeted"], 1
        Sign.seen = (*Sign.seen, self)

    def set_mode_targeted_by_label(self, quiet):
        assert quiet
        self.aim = -1

    def __call__(self, images, labels):
        start = images + self.random_start * self.eps * (2 * torch.rand_like(images) - 1)
        start = start.clamp(0, 1).requires_grad_()
        loss = nn.functional.cross_entropy(self.model(start), labels)
        step = self.alpha * self.eps * torch.autograd.grad(self.aim * loss, start)[0].sign()
        near = (start + step - images).clamp(-self.eps, self.eps)
        return (images + near).clamp(0, 1) + self.overshoot


class SignL2(Sign):
    pass


class Chosen(Sign):
    def __init__(self, model, norm="Linf", eps=0.3, seed=0, n_classes=10):
        super().__init__(model, eps)
        self.norm, self.seed, self.n_classes = norm, seed, n_classes
        self.supported_mode = ["default"]

    def __call__(self, images, labels):
        return images


class Smallest:
    """Goes to the other side of the box: far outside of any small set."""

    def __init__(self, model, steps=3):
        self.supported_mode = ["default"]

    def __call__(self, images, labels):
        return 1 - images


class Partial(Sign):
    """Asks about a part of the batch, and about one image twice, and about nothing else."""

    def __call__(self, images, labels):
        self.model(images[[2]])
        self.model(images[[1, 1]])
        return images


class Broken(Sign):
    def __call__(self, images, labels):
        raise AssertionError


class NotANumber(Sign):
    def __call__(self, images, labels):
        return images * torch.nan


@pytest.fixture
def torchattacks(monkeypatch):
    module = ModuleType("torchattacks")
    for kind in (Sign, SignL2, Chosen, Smallest, Partial, Broken, NotANumber):
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "torchattacks", module)
    monkeypatch.setattr(Sign, "seen", ())
    return module


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Linear(3, 4)


@pytest.mark.parametrize("name", ["foolbox", "torchattacks", "art", "adv_lib"])
def test_a_library_that_is_not_there_is_named_with_what_brings_it(monkeypatch, name):
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr("inradius_adapters.library.find_spec", lambda package: None)
    with pytest.raises(UnsupportedError, match=rf"{name}\('PGD'\) needs the package {name}, .*pip install"):
        make(f"{name}('PGD')", Attack)


def test_a_library_that_does_not_import_is_named(monkeypatch, torchattacks, model):
    attack = make("torchattacks('Sign')", Attack)
    monkeypatch.setitem(sys.modules, "torchattacks", None)
    with pytest.raises(UnsupportedError, match="does not import"):
        attack(model, X, Y, make("linf(eps=0.1)"))


@pytest.mark.parametrize(
    ("spec", "written"),
    [
        ("torchattacks('Sign')", "torchattacks('Sign')"),
        ("torchattacks('Sign', seed=3, alpha=0.5)", "torchattacks('Sign', alpha=0.5, seed=3)"),
        ("torchattacks(attack='Sign', b=[1, (2,)], a=None)", "torchattacks('Sign', a=None, b=(1, (2,)))"),
        ("torchattacks('Sign', one_by_one=True, loss='inf')", "torchattacks('Sign', loss='inf', one_by_one=True)"),
    ],
)
def test_the_spec_builds_an_equal_attack(torchattacks, spec, written):
    attack = make(spec, Attack)
    assert str(attack) == written
    for again in (make(written), make(attack.spec(full=True)), attrs.evolve(attack), attrs.evolve(attack, seed=9)):
        assert again == attrs.evolve(attack, seed=again.seed)
        assert again.options == attack.options


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("torchattacks('Sign', eps=0.1)", "eps is given, but it comes from the set"),
        ("torchattacks('Sign', norm='L2')", "norm is given, but it comes from the set"),
        ("torchattacks('no name')", "no name of an attack"),
        ("torchattacks(3)", "no name of an attack"),
        ("torchattacks('Sign', loss=margin())", "is no option; allowed are names with numbers"),
        ("torchattacks('Sign', one_by_one=1)", "allowed are True and False"),
        ("torchattacks('Sign', options=3)", "allowed are pairs"),
        ("torchattacks('Sign', alpha=1e999)", "is no option"),
        ("torchattacks()", "missing a required argument: 'attack'"),
    ],
)
def test_what_is_no_option_is_named(torchattacks, spec, said):
    with pytest.raises(SpecError, match=said):
        make(spec)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("torchattacks('Signs')", "torchattacks has no attack 'Signs'; did you mean Sign"),
        ("torchattacks('Sign', beta=1)", "unexpected keyword argument 'beta'; it knows alpha, overshoot, random_start"),
    ],
)
def test_what_the_library_does_not_know_is_named(torchattacks, model, spec, said):
    with pytest.raises(SpecError, match=said):
        make(spec)(model, X, Y, make("linf(eps=0.1)"))


def test_radius_norm_seed_and_classes_come_from_what_is_attacked(torchattacks, model):
    make("torchattacks('Chosen', seed=5)")(model, X, Y, make("l2(eps=0.25)"))
    (built,) = Sign.seen
    assert (built.eps, built.norm, built.n_classes) == (0.25, "L2", 4)
    assert built.seed == int(inradius.ExampleRNG(5, torch.tensor([0])).integers(0, 2**31 - 1))


@pytest.mark.parametrize(
    ("attack", "threat", "said"),
    [
        ("Sign", "l2(eps=1)", "does not search the ball of order 2; allowed is linf"),
        ("SignL2", "linf(eps=1)", "does not search the ball of order inf; allowed is l2"),
        ("Chosen", "l1(eps=1)", "does not search the ball of order 1; allowed is linf and l2"),
        ("Sign", "union(linf(eps=0.1), l2(eps=0.5))", "searches the ball of one norm, and union.* is none"),
        ("Sign", "linf(eps=0.1, bounds=None)", "needs the box of valid inputs; give the set bounds"),
    ],
)
def test_sets_that_an_attack_does_not_search_are_refused(torchattacks, model, attack, threat, said):
    with pytest.raises(UnsupportedError, match=said):
        make(f"torchattacks('{attack}')")(model, X, Y, make(threat))


def test_one_step_of_a_stranger_is_our_fgsm(torchattacks, model):
    threat = make("linf(eps=0.1)")
    theirs, ours = (make(spec)(model, X, Y, threat) for spec in ("torchattacks('Sign')", "fgsm()"))
    torch.testing.assert_close(theirs.delta, ours.delta)
    assert theirs.queries.tolist() == [2, 2, 2]


def test_a_goal_is_aimed_at(torchattacks, model):
    threat, goal = make("linf(eps=0.1)"), torch.tensor([3, 2, 1])
    theirs, ours = (make(spec)(model, X, Y, threat, goal=goal) for spec in ("torchattacks('Sign')", "fgsm()"))
    torch.testing.assert_close(theirs.delta, ours.delta)
    with pytest.raises(UnsupportedError, match="cannot aim at a class"):
        make("torchattacks('Chosen')")(model, X, Y, threat, goal=goal)


def test_another_box_is_mapped_to_the_one_that_the_library_knows(torchattacks, model):
    threat = make("linf(eps=25.5, bounds=(0, 255))")
    scaled = nn.Linear(3, 4)
    with torch.no_grad():
        scaled.weight.copy_(model.weight / 255)
        scaled.bias.copy_(model.bias)
    found = make("torchattacks('Sign')")(scaled, X * 255, Y, threat)
    inner = make("torchattacks('Sign')")(model, X, Y, make("linf(eps=0.1)"))
    assert Sign.seen[0].eps == pytest.approx(0.1)
    torch.testing.assert_close(found.delta, 255 * inner.delta, atol=1e-4, rtol=0)


def test_rounding_is_moved_back_and_more_is_rejected(torchattacks, model):
    threat = make("linf(eps=0.1)")
    slight = make("torchattacks('Sign', overshoot=5e-7)")(model, X, Y, threat)
    assert slight.inside.all()
    assert slight.delta.abs().max() <= 0.1
    assert (X + slight.delta).max() <= 1
    with pytest.warns(PluginWarning, match=r"torchattacks\('Sign', overshoot=0.01\) left the set"):
        far = make("torchattacks('Sign', overshoot=0.01)")(model, X, Y, threat)
    assert not far.success.any()
    with pytest.warns(PluginWarning, match="left the set"):
        assert not make("torchattacks('NotANumber')")(model, X, Y, threat).success.any()


def test_a_smallest_perturbation_may_leave_the_set_and_is_no_success_then(torchattacks, model):
    attack = make("torchattacks('Smallest')", Attack)
    assert attack.minimal
    for threat in ("linf(eps=0.3)", "union(linf(eps=0.1), l2(eps=0.5))", "l0(k=1)"):
        found = attack(model, X, Y, make(threat))
        torch.testing.assert_close(found.delta, 1 - 2 * X)
        assert found.inside.tolist() == (found.gauge <= 1 + 1e-5).tolist()
        assert not (found.success & ~found.inside).any()
    assert not make("torchattacks('Sign')", Attack).minimal


def test_a_part_of_the_batch_is_counted_for_its_own_examples(torchattacks, model):
    found = make("torchattacks('Partial')")(model, X, Y, make("linf(eps=0.1)"))
    assert found.queries.tolist() == [1, 3, 2]


def test_a_failure_of_the_library_is_told_in_words(torchattacks, model):
    with pytest.raises(PluginError, match="failed in torchattacks: AssertionError: no reason given"):
        make("torchattacks('Broken')")(model, X, Y, make("linf(eps=0.1)"))
    with pytest.raises(InputError, match="NaN or infinite"):
        make("torchattacks('Sign')")(lambda x: model(x) * torch.nan, X, Y, make("linf(eps=0.1)"))


def test_global_random_numbers_go_on_as_if_nothing_had_been_drawn(torchattacks, model):
    def numbers():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    for _ in range(2):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        before = numbers()
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        make("torchattacks('Sign', random_start=True)")(model, X, Y, make("linf(eps=0.1)"))
        assert numbers() == before


def test_seeds_and_examples_decide_what_is_drawn(torchattacks, model):
    threat = make("linf(eps=0.2)")
    spec = "torchattacks('Sign', random_start=True, alpha=0.1, seed={}, one_by_one=True)"
    first, again, other = (make(spec.format(seed))(model, X, Y, threat).delta for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    order = torch.tensor([2, 0])
    part = make(spec.format(0))(model, X[order], Y[order], threat, index=order)
    torch.testing.assert_close(part.delta, first[order])


def test_a_radius_per_example_is_kept(torchattacks, model):
    threat = make("linf(eps=0.1)").per_example(torch.tensor([1.0, 0.0, 2.0]))
    found = make("torchattacks('Sign')")(model, X, Y, threat)
    alone = make("torchattacks('Sign')")(model, X, Y, make("linf(eps=0.2)"))
    torch.testing.assert_close(found.delta[2], alone.delta[2])
    assert not found.delta[1].any()
    assert found.delta[0].abs().max() <= 0.1


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 3)])
def test_the_laws_hold_one_by_one(torchattacks, shape):
    check_attack("torchattacks('Sign', random_start=True, one_by_one=True)", "linf(eps=0.1)", shape=shape, examples=5)


def test_the_laws_but_for_batch_mates_hold_in_batches(torchattacks):
    attack = "torchattacks('Sign', random_start=True)"
    check_attack(attack, "linf(eps=0.1)", examples=5, without=(batch_mates_change_nothing,))


@pytest.fixture
def foolbox(monkeypatch):
    """A stand-in that gives every attack the clean images and notes what it was asked."""
    asked = []

    class Fixed:
        order = torch.inf

        def __init__(self, *, steps=3, distance=None):
            self.distance = distance or SimpleNamespace(p=self.order)

        def __call__(self, model, inputs, criterion, *, epsilons):
            asked.append(SimpleNamespace(model=model, criterion=criterion, epsilons=epsilons, distance=self.distance))
            return inputs + 0.2, inputs, None

    class MinimizationAttack(Fixed):
        pass

    module, attacks, base = ModuleType("foolbox"), ModuleType("foolbox.attacks"), ModuleType("foolbox.attacks.base")
    attacks.Fixed, attacks.Smallest = Fixed, type("Smallest", (MinimizationAttack,), {})
    base.MinimizationAttack, attacks.base, module.attacks = MinimizationAttack, base, attacks
    module.distances = SimpleNamespace(LpDistance=lambda p: SimpleNamespace(p=p))
    module.criteria = SimpleNamespace(
        Misclassification=lambda y: ("misses", y), TargetedMisclassification=lambda y: ("aims", y)
    )
    module.PyTorchModel = lambda model, bounds, device: SimpleNamespace(bounds=bounds, device=device)
    for name, known in (("foolbox", module), ("foolbox.attacks", attacks), ("foolbox.attacks.base", base)):
        monkeypatch.setitem(sys.modules, name, known)
    return asked


def test_foolbox_is_asked_in_its_own_words(foolbox, model):
    make("foolbox('Fixed', steps=2)")(model, X, Y, make("l2(eps=0.5)"))
    make("foolbox('Fixed')")(model, X, Y, make("linf(eps=0.5)"), goal=Y)
    make("foolbox('Smallest')")(model, X, Y, make("l1(eps=0.5)"))
    assert [(ask.criterion[0], ask.epsilons, ask.distance.p) for ask in foolbox] == [
        ("misses", 0.5, 2.0),
        ("aims", 0.5, torch.inf),
        ("misses", None, 1.0),
    ]
    assert foolbox[0].model.bounds == (0.0, 1.0)
    assert torch.equal(foolbox[0].criterion[1], Y)


def test_the_answer_of_a_minimal_attack_is_not_clipped(foolbox, model):
    threat = make("linf(eps=0.3, bounds=(-1, 2))")
    torch.testing.assert_close(make("foolbox('Smallest')")(model, X, Y, threat).delta, torch.full_like(X, 0.2))
    assert not make("foolbox('Fixed')")(model, X, Y, threat).delta.any()


@pytest.fixture
def adv_lib(monkeypatch):
    """A stand-in with an attack for a radius, two for the smallest perturbation and a helper; it notes what it was asked."""
    asked = []

    def pgd(model, inputs, labels, ε, targeted=False, steps=3):
        asked.append(SimpleNamespace(radius=ε, targeted=targeted, steps=steps, labels=labels))
        point = inputs.requires_grad_()
        loss = nn.functional.cross_entropy(model(point), labels)
        step = ε * torch.autograd.grad(-loss if targeted else loss, point)[0].sign()
        return (inputs.detach_() + step).clamp_(0, 1)

    def apgd(model, inputs, labels, eps, norm, targeted=False):
        asked.append(SimpleNamespace(radius=eps, norm=norm))
        return inputs

    def fmn(model, inputs, labels, norm, steps=10):
        asked.append(SimpleNamespace(norm=norm, steps=steps))
        return 1 - inputs

    def tr(model, inputs, labels, p=2, eps=0.001):
        asked.append(SimpleNamespace(norm=p))
        return inputs

    def helper(δ, ε):
        raise AssertionError

    package, module = ModuleType("adv_lib"), ModuleType("adv_lib.attacks")
    for kind in (pgd, apgd, fmn, tr, helper):
        setattr(module, kind.__name__, kind)
    package.attacks = module
    monkeypatch.setitem(sys.modules, "adv_lib", package)
    monkeypatch.setitem(sys.modules, "adv_lib.attacks", module)
    return asked


def test_adv_lib_is_asked_in_its_own_words(adv_lib, model):
    make("adv_lib('apgd')")(model, X, Y, make("l1(eps=0.5)"))
    make("adv_lib('fmn', steps=4)")(model, X, Y, make("l2(eps=0.5)"))
    make("adv_lib('tr')")(model, X, Y, make("linf(eps=0.5)"))
    make("adv_lib('fmn', norm=0)")(model, X, Y, make("l0(k=2)"))
    make("adv_lib('pgd')")(model, X, Y, make("linf(eps=0.1)"), goal=Y)
    assert (adv_lib[0].radius, adv_lib[0].norm) == (0.5, 1.0)
    assert (adv_lib[1].norm, adv_lib[1].steps) == (2.0, 4)
    assert [ask.norm for ask in adv_lib[2:4]] == [torch.inf, 0]
    assert adv_lib[4].targeted
    assert torch.equal(adv_lib[4].labels, Y)
    minimal = {name: make(f"adv_lib('{name}')", Attack).minimal for name in ("pgd", "apgd", "fmn", "tr")}
    assert minimal == {"pgd": False, "apgd": False, "fmn": True, "tr": True}


def test_one_step_of_adv_lib_is_our_fgsm_in_any_box(adv_lib, model):
    theirs, ours = (make(spec)(model, X, Y, make("linf(eps=0.1)")) for spec in ("adv_lib('pgd')", "fgsm()"))
    torch.testing.assert_close(theirs.delta, ours.delta)
    wide = nn.Sequential(nn.Linear(3, 3), model)
    with torch.no_grad():
        wide[0].weight.copy_(torch.eye(3) / 4)
        wide[0].bias.fill_(0.5)
    found = make("adv_lib('pgd')")(wide, 4 * X - 2, Y, make("linf(eps=0.4, bounds=(-2, 2))"))
    torch.testing.assert_close(found.delta, 4 * ours.delta)


@pytest.mark.parametrize(
    ("spec", "threat", "error", "said"),
    [
        ("adv_lib('pgds')", "linf(eps=0.1)", SpecError, "adv_lib has no attack 'pgds'; did you mean pgd"),
        ("adv_lib('helper')", "linf(eps=0.1)", SpecError, "adv_lib has no attack 'helper'"),
        ("adv_lib('pgd', beta=1)", "linf(eps=0.1)", SpecError, "pgd has no parameter beta; it knows steps"),
        ("adv_lib('pgd')", "l2(eps=0.1)", UnsupportedError, "does not search the ball of order 2; allowed is linf"),
        ("adv_lib('pgd')", "linf(eps=0.1, bounds=None)", UnsupportedError, "needs the box of valid inputs"),
        ("adv_lib('fmn')", "l0(k=1)", UnsupportedError, "the set is no ball of one; give norm=0, 1 or 2 in the spec"),
        ("adv_lib('fmn')", "linf(eps=0.1)", UnsupportedError, "cannot aim at a class"),
    ],
)
def test_what_adv_lib_does_not_know_is_named(adv_lib, model, spec, threat, error, said):
    goal = Y if "aim" in said else None
    with pytest.raises(error, match=said):
        make(spec)(model, X, Y, make(threat), goal=goal)
    with pytest.raises(SpecError, match="ε is given, but it comes from the set"):
        make("adv_lib('pgd', ε=0.1)")


def test_the_laws_hold_for_adv_lib(adv_lib):
    check_attack("adv_lib('pgd', one_by_one=True)", "linf(eps=0.1)", shape=(1, 2, 3), examples=3)


def need(package):
    # a stand-in for art on PyPI draws pictures with letters
    if find_spec(package) is None or (package == "art" and find_spec("art.attacks") is None):
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize(
    ("spec", "threat"),
    [
        ("foolbox('LinfPGD', steps=4)", "linf(eps=0.2)"),
        ("foolbox('L2BasicIterativeAttack', steps=4)", "l2(eps=0.5)"),
        ("foolbox('SparseL1DescentAttack', steps=4)", "l1(eps=1)"),
        ("foolbox('DDNAttack', steps=5)", "l2(eps=0.5, bounds=(-1, 2))"),
        ("foolbox('EADAttack', steps=3, binary_search_steps=2)", "l1(eps=1)"),
        ("foolbox('L0FMNAttack', steps=3)", "l0(k=2)"),
        ("adv_lib('fmn', steps=4)", "l1(eps=1)"),
        ("adv_lib('ddn', steps=4)", "l2(eps=0.5, bounds=(-1, 2))"),
        ("adv_lib('sigma_zero', num_steps=4)", "l0(k=2)"),
        ("adv_lib('apgd', n_iter=4)", "linf(eps=0.2)"),
        ("torchattacks('PGD', steps=3, alpha=0.1)", "linf(eps=0.2)"),
        ("torchattacks('PGDL2', steps=3)", "l2(eps=0.5, bounds=(-1, 3))"),
        ("torchattacks('APGD', steps=4)", "l2(eps=0.5)"),
        ("torchattacks('DeepFool', steps=4)", "union(linf(eps=0.1), l2(eps=0.5))"),
        ("art('ProjectedGradientDescent', max_iter=3, eps_step=0.1)", "linf(eps=0.2)"),
        ("art('AutoProjectedGradientDescent', max_iter=3, eps_step=0.1, nb_random_init=1)", "l2(eps=0.5)"),
        ("art('FastGradientMethod')", "l1(eps=1, bounds=None)"),
        ("art('CarliniL2Method', max_iter=2, binary_search_steps=1)", "l2(eps=0.5)"),
    ],
)
def test_the_libraries_own_attacks_keep_the_laws(spec, threat):
    need(spec.partition("(")[0])
    check_attack(f"{spec[:-1]}, one_by_one=True)", threat, shape=(1, 3, 3), examples=2)
    check_attack(spec, threat, shape=(1, 3, 3), examples=2, without=(batch_mates_change_nothing,))


@pytest.mark.parametrize(
    "spec",
    [
        "foolbox('LinfPGD', steps=10, abs_stepsize=0.05)",
        "torchattacks('PGD', steps=10, alpha=0.05)",
        "art('ProjectedGradientDescent', max_iter=10, eps_step=0.05)",
    ],
)
def test_the_libraries_reach_the_closed_form_of_a_linear_model(spec):
    need(spec.partition("(")[0])
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[2.0, -1.0, 1.0], [0.0, 0.0, 0.0]]))
        model.bias.copy_(torch.tensor([0.3, 0.0]))
    x = torch.full((2, 3), 0.5)
    y = torch.zeros(2, dtype=torch.int64)
    found = make(spec)(model, x, y, make("linf(eps=0.1)"))
    torch.testing.assert_close(found.margin, torch.full((2,), 1.3 - 0.1 * 4), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "spec",
    [
        "foolbox('LinfPGD', abs_stepsize=0.1)",
        "torchattacks('PGD', alpha=0.1)",
        "art('ProjectedGradientDescent', max_iter=10)",
    ],
)
def test_the_libraries_aim_at_goals(spec):
    need(spec.partition("(")[0])
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight.copy_(torch.eye(3))
        model.bias.zero_()
    x, y, goal = torch.full((2, 3), 0.5), torch.zeros(2, dtype=torch.int64), torch.tensor([1, 2])
    found = make(spec)(model, x, y, make("linf(eps=0.3)"), goal=goal)
    assert torch.equal((x + found.delta).argmax(1), goal)
    assert found.success.all()


def test_black_images_of_a_failed_attack_are_no_success():
    need("foolbox")
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1e-3, 0.0, 0.0], [0.0, 0.0, 0.0]]))
        model.bias.copy_(torch.tensor([0.0, 1e-4]))
    # the black image is the only one of the other class nearby, and the attack has no time to find any
    found = make("foolbox('EADAttack', steps=1, binary_search_steps=1, initial_const=1e-9)")(
        model, torch.full((2, 3), 0.9), torch.zeros(2, dtype=torch.int64), make("l1(eps=0.2)")
    )
    assert not found.success.any()
    assert not found.inside.any()
