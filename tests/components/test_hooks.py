"""Every hook has a test named after it, in which a toy plugin is heard."""

import attrs
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import inradius
from inradius import (
    Attack,
    Bounds,
    Certifier,
    CrossEntropy,
    Dataset,
    Defense,
    LayerRule,
    Objective,
    Outcome,
    ThreatModel,
    hookimpl,
    make,
)
from inradius.cli.app import app
from inradius.components import hookspecs, installed, registry
from inradius.components.contents import contents
from inradius.components.hookimpl import NAMESPACE
from inradius.components.installed import Plugin
from inradius.training.slots import Direction, Monitor, Regularizer, Sampler, Schedule, Transform, Update


@attrs.frozen(kw_only=True)
class ToySet(ThreatModel):
    """The point δ = 0."""

    convex = tight = True

    def project(self, delta, x):
        return torch.zeros_like(x)

    def linear_max(self, c, x):
        return torch.zeros_like(x)

    def gauge(self, delta, x):
        return torch.where((delta == 0).flatten(1).all(1), 0.0, torch.inf)

    def scaled(self, factor):
        return self


@attrs.frozen(kw_only=True)
class ToyOutcome(Outcome):
    """Broken where an output is above ``most``."""

    most: float = 1.0

    def margin(self, outputs, y):
        return self.most - outputs.amax(1)


@attrs.frozen(kw_only=True)
class ToyAttack(Attack):
    """An attack that stays where it is."""

    def perturb(self, batch, *, observe=None):
        return torch.zeros_like(batch.x)


@attrs.frozen(kw_only=True)
class ToyCertifier(Certifier):
    """Proves what the clean output shows, which is true of the point δ = 0."""

    def lower_bound(self, model, x, threat, prop, rng):
        value = (prop.weights * model(x)[:, None]).sum(2) + prop.offsets
        return Bounds(value=value)


@attrs.frozen(kw_only=True)
class ToyDefense(Defense):
    """Trains nothing."""

    def fit(self, model, data, threat, run):
        return model


@attrs.frozen(kw_only=True)
class ToyObjective(Objective):
    """The first logit."""

    def __call__(self, logits, y, goal=None):
        return logits[:, 0]


class ToyRule(LayerRule):
    """How bounds pass a Tanhshrink: it is monotone."""

    def interval(self, op, lower, upper):
        return op(lower), op(upper)


class ToyTransform(Transform):
    """Changes nothing."""

    def __call__(self, batch, rng, classes):
        return batch


class ToySampler(Sampler):
    """The whole set."""

    def rows(self, data, run):
        yield torch.arange(len(data))


class ToyRegularizer(Regularizer):
    """Nothing."""

    def penalty(self, model, views, threat, run):
        return torch.zeros(len(views.batch))


class ToyDirection(Direction):
    """No gradient."""

    def __call__(self, losses, parameters, run):
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)


class ToyUpdate(Update):
    """Stays where it is."""

    def __call__(self, descent):
        descent.gradient()


class ToySchedule(Schedule):
    """A third."""

    def __call__(self, progress):
        return 1 / 3


class ToyMonitor(Monitor):
    """Asks for nothing."""

    def after_epoch(self, model, threat, run):
        return []


def toy_data(count: int = 3) -> Dataset:
    """Zeros."""
    return Dataset.of(torch.zeros(count, 2), torch.zeros(count, dtype=torch.int64))


def toy_model(width: int = 2) -> nn.Module:
    """A linear map."""
    return nn.Linear(width, 2)


def test_hook_threat_models(register):
    register(threat_models=[ToySet])
    assert make("toy_set()", ThreatModel) == ToySet()


def test_hook_attacks(register):
    register(attacks=[ToyAttack])
    attack = make("toy_attack(seed=3)", Attack)
    x, y = torch.rand(3, 2), torch.tensor([0, 1, 0])
    assert attack == ToyAttack(seed=3)
    assert torch.equal(attack(nn.Linear(2, 2), x, y, ToySet()).delta, torch.zeros(3, 2))


def test_hook_certifiers(register):
    register(certifiers=[ToyCertifier])
    certifier = make("toy_certifier", Certifier)
    x = torch.rand(3, 2)
    model = nn.Linear(2, 2)
    y = model(x).argmax(1)
    assert bool(certifier(model, x, y, ToySet()).certified.all())


def test_hook_defenses(register):
    register(defenses=[ToyDefense])
    assert make("toy_defense()", Defense) == ToyDefense()


def test_hook_objectives(register):
    register(objectives=[ToyObjective])
    assert make("targeted(toy_objective)", Objective).objective == ToyObjective()
    assert make("cross_entropy()", Objective) == CrossEntropy()


def test_hook_outcomes(register):
    register(outcomes=[ToyOutcome])
    outcome = make("toy_outcome(most=0.5)", Outcome)
    margin = outcome.margin(torch.tensor([[0.2, 0.1], [0.7, 0.0]]), torch.zeros(2))
    assert (margin > 0).tolist() == [True, False]


def test_hook_datasets(register):
    register(datasets={"toy_data": toy_data})
    assert len(make("toy_data(count=5)", Dataset)) == 5


def test_hook_models(register):
    register(models={"toy_model": toy_model})
    assert make("toy_model(width=7)", nn.Module).in_features == 7


def test_hook_layer_rules(register):
    rule = ToyRule()
    register(layer_rules={nn.Tanhshrink: rule})
    assert inradius.layer_rules()[nn.Tanhshrink] is rule


def test_hook_transforms(register):
    register(transforms=[ToyTransform])
    assert make("toy_transform", Transform) == ToyTransform()


def test_hook_samplers(register):
    register(samplers=[ToySampler])
    assert make("toy_sampler()", Sampler) == ToySampler()


def test_hook_regularizers(register):
    register(regularizers=[ToyRegularizer], schedules=[ToySchedule])
    assert make("toy_regularizer(weight=2)", Regularizer) == ToyRegularizer(weight=2.0)
    assert make("toy_regularizer(weight=toy_schedule)", Regularizer).weight == ToySchedule()
    with pytest.raises(inradius.SpecError, match="weight=-1"):
        make("toy_regularizer(weight=-1)")


def test_hook_directions(register):
    register(directions=[ToyDirection])
    assert make("toy_direction()", Direction) == ToyDirection()


def test_hook_updates(register):
    register(updates=[ToyUpdate])
    assert make("toy_update()", Update) == ToyUpdate()


def test_hook_schedules(register):
    register(schedules=[ToySchedule])
    assert make("toy_schedule()", Schedule)(0.5) == 1 / 3


def test_hook_monitors(register):
    register(monitors=[ToyMonitor])
    assert make("toy_monitor()", Monitor) == ToyMonitor()


def test_hook_law_cases(register):
    register(attacks=[ToyAttack], law_cases={"toy_attack(seed=3)": {"threat": "l1(eps=1)"}})
    plugin = Plugin("toy", "toys", "1.0", "toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installed.host(), "plugins", (plugin,))
        found = contents("toys")
    assert found.names == {"toy_attack": Attack}
    assert found.cases == {"toy_attack(seed=3)": {"threat": "l1(eps=1)"}}


def test_a_run_is_made_of_toys(register, tmp_path):
    """Every slot by its spec; nothing moves, as the toys see to it."""
    slots = ["transform", "sampler", "regularizer", "direction", "update", "monitor"]
    register(
        transforms=[ToyTransform], samplers=[ToySampler], regularizers=[ToyRegularizer], directions=[ToyDirection],
        updates=[ToyUpdate], schedules=[ToySchedule], monitors=[ToyMonitor],
    )  # fmt: skip
    many = {"transform", "regularizer", "monitor"}
    options = {f"{s}s" if s in many else s: [f"toy_{s}"] if s in many else f"toy_{s}" for s in slots}
    model = toy_model()
    before = model.weight.clone()
    data = inradius.Dataset.of(torch.rand(6, 2), torch.arange(6) % 2)
    inradius.train(
        "standard()", model, data, "linf(eps=0.1)", folder=tmp_path, epochs=1, radius="toy_schedule", **options
    )
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize(
    "kind", ["transforms", "samplers", "regularizers", "directions", "updates", "schedules", "monitors"]
)
def test_the_parts_of_a_run_are_listed_and_described(register, kind):
    toy = {
        "transforms": ToyTransform, "samplers": ToySampler, "regularizers": ToyRegularizer, "directions": ToyDirection,
        "updates": ToyUpdate, "schedules": ToySchedule, "monitors": ToyMonitor,
    }[kind]  # fmt: skip
    register(**{kind: [toy]})
    listed = CliRunner().invoke(app, ["list", kind])
    assert listed.exit_code == 0
    assert toy.spec_name() in listed.output
    told = CliRunner().invoke(app, ["describe", toy.spec_name()])
    assert told.exit_code == 0
    assert f"one of the {kind}" in told.output
    assert toy.__doc__ in told.output


def test_a_plugin_that_comes_late_is_heard(register):
    assert "toy_set" not in registry.entries()
    assert nn.Tanhshrink not in inradius.layer_rules()
    register(threat_models=[ToySet], layer_rules={nn.Tanhshrink: ToyRule()})
    assert make("toy_set()") == ToySet()
    assert nn.Tanhshrink in inradius.layer_rules()


def test_a_module_may_leave_out_hooks_it_has_nothing_for(register):
    register()
    assert "cross_entropy" in registry.entries()


@pytest.mark.parametrize(
    "hook", [name for name, value in vars(hookspecs).items() if hasattr(value, f"{NAMESPACE}_spec")]
)
def test_every_hook_is_historic_explained_and_tested(hook):
    spec = getattr(hookspecs, hook)
    assert spec.inradius_spec["historic"], f"the hook {hook} is not historic, so that a late plugin is not heard"
    assert spec.__doc__, f"the hook {hook} has no docstring"
    assert hook in {*registry.KINDS, "layer_rules", "law_cases"}, f"nobody calls the hook {hook}"
    assert f"test_hook_{hook}" in globals(), f"the hook {hook} has no test named test_hook_{hook}"


def test_hooks_are_marked_with_the_public_marker():
    assert inradius.hookimpl is hookimpl
    assert hookimpl.project_name == NAMESPACE == "inradius"
