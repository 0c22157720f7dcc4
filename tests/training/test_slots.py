"""The slots of a training run, each filled with a part that a stranger might write."""

import json
from itertools import pairwise

import attrs
import pytest
import torch
from run_toys import blobs, engine, fit, lines, network
from slot_toys import Ahead, Doubling, First, Half, Mistaken, Mixed, Plain, Scale, Size, Twice, Watch, component, same

import inradius
from inradius.processes import Processes
from inradius.training.losses import cross_entropy
from inradius.training.slots import (
    Monitor,
    Sampler,
    Schedule,
    Set,
    Update,
)


def test_transforms_change_what_is_learned_from_and_keep_who_is_who(tmp_path):
    run, data = engine(tmp_path, transforms=(Mixed(),))
    run.classes = 2
    for _ in run.epochs():
        for batch in run.batches(data):
            again = Mixed()(data.select(batch.index), inradius.ExampleRNG(1, batch.index), 2)
            assert torch.equal(batch.labels, data.labels[batch.index])
            assert torch.equal(batch.targets, again.targets)
            assert not torch.equal(batch.inputs, data.inputs[batch.index])
            assert 0 <= float(batch.inputs.min()) <= float(batch.inputs.max()) <= 1


def test_a_transform_draws_for_each_example_whatever_its_batch(tmp_path):
    seen = []
    for size in (16, 50):
        run, data = engine(tmp_path / str(size), transforms=(Mixed(),), batch_size=size)
        run.classes = 2
        batches = list(run.batches(data))
        index, inputs = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("index", "inputs"))
        seen.append(inputs[index.argsort()])
    assert torch.equal(*seen)


def test_a_sampler_hears_of_each_batch_before_it_draws_the_next(tmp_path):
    model = network()
    fit(tmp_path, Plain(), model=model, sampler=Mistaken(), epochs=1, validation=0)
    run, data = engine(tmp_path / "engine", sampler=Mistaken())
    classes = []
    for batch in run.batches(data):
        classes.append(int(batch.labels[0]))
        run.recipe.sampler.observe(batch.labels, torch.ones(len(batch)) * (1 - batch.labels), run)
    assert classes[:2] == [0, 0]
    assert run.memory(Mistaken())["seen"] == len(classes)


def test_a_sampler_that_asks_what_nobody_kept_is_told(tmp_path):
    @component
    class Blind(Plain):
        def loss(self, model, batch, threat, run):
            return cross_entropy(model(batch.inputs), batch)

    with pytest.raises(inradius.PluginError, match=r"asks which predictions were wrong, and .* keeps none"):
        fit(tmp_path, Blind(), sampler=Mistaken())


@pytest.mark.parametrize("penalty", [Size(weight=0.01), Scale(weight=0.01)])
def test_a_penalty_adds_its_weighted_gradient(tmp_path, penalty):
    (one, data), (two, _) = engine(tmp_path / "a"), engine(tmp_path / "b", regularizers=(penalty,))
    for run in (one, two):
        # without dropout
        run.model.eval()
        run.defense = Plain()
        run.recipe = attrs.evolve(run.recipe, update=Keep())
        run.advance(run.model, data, inradius.make("linf(eps=0.1)"))
    views = inradius.AttackedBatch(data)
    value = penalty.weight * penalty.penalty(two.model, views, None, two).mean()
    expected = torch.autograd.grad(value, two.parameters)
    for a, b, extra in zip(one.parameters, two.parameters, expected, strict=True):
        torch.testing.assert_close(b.grad - a.grad, extra, rtol=1e-4, atol=1e-6)


@component
class Keep(Update):
    """Leaves the gradient, and goes nowhere."""

    def __call__(self, descent):
        descent.gradient()


def test_a_weight_may_be_scheduled_or_answer_to_what_it_weighs(tmp_path):
    fit(tmp_path / "scheduled", Plain(), regularizers=[Size(weight=Half())], epochs=4)
    assert [line["size_weight"] for line in lines(tmp_path / "scheduled")] == [0.5, 0.5, 1.0, 1.0]
    fit(tmp_path / "fed", Plain(), regularizers=[Size(weight=Doubling())], epochs=3)
    first, second, last = (line["size_weight"] for line in lines(tmp_path / "fed"))
    assert first < second < last == 1.0


def test_a_direction_makes_one_gradient_of_several(tmp_path):
    plain = fit(tmp_path / "one", Plain(), clip=1.0)
    average = fit(tmp_path / "mean", Plain(copies=3), clip=1.0)
    first = fit(tmp_path / "first", Plain(copies=3), clip=1.0, direction=First())
    assert same(plain, first)
    for a, b in zip(plain.parameters(), average.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_an_update_may_ask_for_gradients_elsewhere(tmp_path):
    model = network()
    run, data = engine(tmp_path, update=Twice(rho=0.1))
    run.model.eval()
    model.eval()
    run.defense, run.recipe = Plain(), attrs.evolve(run.recipe, update=Twice(rho=0.1), schedule=Still())
    here = torch.autograd.grad(cross_entropy(model(data.inputs), data).mean(), list(model.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(model.parameters(), here, strict=True):
            parameter.add_(gradient, alpha=0.1)
    there = torch.autograd.grad(cross_entropy(model(data.inputs), data).mean(), list(model.parameters()))
    run.advance(run.model, data, inradius.make("linf(eps=0.1)"))
    for parameter, gradient, start in zip(run.parameters, there, network().parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(parameter, start, rtol=1e-5, atol=1e-6)


@component
class Still(Schedule):
    """Nothing moves."""

    def __call__(self, progress):
        return 0.0


def test_lookahead_gives_the_next_batch_once_and_none_at_the_end(tmp_path):
    run, data = engine(tmp_path, update=Ahead())
    pairs = [(batch, run.ahead) for batch in run.batches(data)]
    assert all(ahead is after for (_, ahead), (after, _) in pairwise(pairs))
    assert pairs[-1][1] is None
    assert len(torch.cat([batch.index for batch, _ in pairs]).unique()) == len(data)


def test_the_set_grows_by_its_schedule(tmp_path):
    radii = []

    @component
    class Spy(Plain):
        def loss(self, model, batch, threat, run):
            radii.append(threat.eps)
            return super().loss(model, batch, threat, run)

    fit(tmp_path, Spy(), radius=Half(), epochs=2, batch_size=60)
    assert radii == [0.025, 0.05]


def test_a_monitor_stops_a_run_for_good(tmp_path):
    first = fit(tmp_path, Plain(), epochs=4, monitors=[Watch(action="stop")])
    again = fit(tmp_path, Plain(), epochs=4, monitors=[Watch(action="stop")])
    assert len(lines(tmp_path)) == 2
    assert json.loads((tmp_path / "run.json").read_text())["result"]["stopped"] == "enough"
    assert same(first, again)


def test_a_monitor_rolls_an_epoch_back(tmp_path):
    short = fit(tmp_path / "short", Plain(), epochs=1, schedule="constant", validation=0)
    back = fit(tmp_path / "back", Plain(), epochs=4, schedule="constant", validation=0, monitors=[Watch(action="end")])
    assert same(short, back)
    assert [line.get("rolled_back") for line in lines(tmp_path / "back")] == [None, 1.0]


@pytest.mark.parametrize("after", [0, 2])
def test_a_run_goes_on_from_before_the_epoch_that_was_rolled_back(tmp_path, after):
    fit(tmp_path, Plain(), epochs=4, monitors=[Watch(action="back", after=after)])
    # its own count is put back, too
    counted = [line["watched"] for line in lines(tmp_path)]
    assert counted == [epoch + 1 - (epoch > after) for epoch in range(4)]


@pytest.mark.parametrize("name", ["lr", "radius"])
def test_a_monitor_sets_what_is_scheduled(tmp_path, name):
    run, _ = engine(tmp_path, monitors=(Watch(action=name, after=0),))
    threat = inradius.make("linf(eps=0.1)")
    for epoch in run.epochs():
        assert run.factors[name] == (1.0 if epoch == 0 else 0.5)
        assert run.scheduled(threat).eps == 0.1 * run.factors["radius"]
        run.validate(run.model, threat)


def test_what_monitors_asked_for_is_in_the_record_with_its_reason(tmp_path):
    watched = {"lr": ("Set", 1), "back": ("RollBack", 3), "stop": ("Stop", 2)}
    monitors = [Watch(action=name, after=epoch - 1) for name, (_, epoch) in watched.items() if name != "stop"]
    for _ in range(2):
        fit(tmp_path, Plain(), epochs=4, monitors=monitors)
        actions = json.loads((tmp_path / "run.json").read_text())["result"]["actions"]
        assert [(one["action"], one["epoch"]) for one in actions] == [watched["lr"], watched["back"]]
        assert all(one["reason"] for one in actions)
        assert (actions[0]["name"], actions[0]["factor"], actions[1]["go_on"]) == ("lr", 0.5, True)


@pytest.mark.parametrize(
    ("name", "factor"), [("rate", 0.5), ("lr", -1.0), ("lr", float("nan")), ("radius", float("inf"))]
)
def test_only_what_is_scheduled_can_be_set(name, factor):
    with pytest.raises(inradius.PluginError, match="allowed are 'lr' and 'radius', and finite factors ≥ 0"):
        Set(name, factor, "why not")


@pytest.mark.parametrize("answer", [None, "stop", [3]])
def test_a_monitor_that_answers_no_list_of_actions_is_named(tmp_path, answer):
    @component
    class Silent(Monitor):
        def after_epoch(self, model, threat, run):
            return answer

    with pytest.raises(inradius.PluginError, match="after an epoch; allowed is a list of Stop, RollBack and Set"):
        fit(tmp_path, Plain(), monitors=[Silent()])


def test_monitors_are_given_the_weights_that_are_trained_and_may_ask_for_those_that_are_judged(tmp_path):
    seen = []

    @component
    class Both(Monitor):
        def after_epoch(self, model, threat, run):
            seen.append((model is run.model, run.judged(model) is run.averaged, run.judged(model) is model))
            return []

    fit(tmp_path / "raw", Plain(), epochs=1, monitors=[Both()])
    fit(tmp_path / "ema", Plain(), epochs=1, monitors=[Both()], ema=0.5)
    assert seen == [(True, False, True), (True, True, False)]


def test_processes_agree_on_the_statistics_of_averaged_weights_too(tmp_path, monkeypatch):
    agreed = []
    monkeypatch.setattr(Processes, "average_buffers", lambda self, model: agreed.append(model))
    run, _ = engine(tmp_path, ema=0.5, epochs=1)
    for _ in run.epochs():
        run.validate(run.model, inradius.make("linf(eps=0.1)"))
    assert agreed == [run.model, run.averaged]


def test_a_sampler_is_told_of_a_batch_whose_step_was_left_out(tmp_path):
    told = []

    @component
    class Listening(Sampler):
        observes = True

        def rows(self, data, run):
            yield from torch.arange(len(data)).tensor_split(run.count(data))

        def observe(self, labels, mistakes, run):
            told.append(run.epoch)

    @component
    class Steep(Plain):
        def loss(self, model, batch, threat, run):
            return 1e3 * super().loss(model, batch, threat, run)

    fit(tmp_path, Steep(), epochs=2, precision="float16", sampler=Listening())
    assert lines(tmp_path)[0]["skipped"] > 0
    assert told == [0] * (len(told) // 2) + [1] * (len(told) // 2)


def test_in_training_an_attack_goes_on_where_an_example_is_fooled(tmp_path):
    found = {}

    @component
    class Under(inradius.AdversarialDefense):
        def loss(self, model, batch, threat, run):
            views = self.views(model, batch, threat, run)
            found[str(self.attack)] = views.delta
            return cross_entropy(views.attacked(model), batch)

    for options in ("", ", keep_maximising=True"):
        for spec in (f"pgd(steps=8{options})", f"restarts(pgd(steps=4{options}), 2)"):
            attack = inradius.make(spec, inradius.Attack)
            inradius.train(
                Under(attack=attack),
                network(),
                blobs(),
                "linf(eps=0.5)",
                folder=tmp_path / spec,
                epochs=1,
                device="cpu",
            )
    plain, patient = list(found.values())[:2], list(found.values())[2:]
    assert all(torch.equal(one, other) for one, other in zip(plain, patient, strict=True))


def test_what_a_file_would_not_give_back_is_refused(tmp_path):
    @component
    class Odd(Plain):
        def loss(self, model, batch, threat, run):
            run.memory(self)["past"] = {1, 2}
            return super().loss(model, batch, threat, run)

    with pytest.raises(inradius.PluginError, match="keeps 'past', set; allowed are numbers, strings, tensors"):
        fit(tmp_path, Odd())


def test_slots_without_a_place_are_refused(tmp_path):
    @component
    class Own(Plain):
        def step(self, model, batch, threat, run):
            run.descend(self.loss(model, batch, threat, run))

    with pytest.raises(inradius.SpecError, match="has no place in"):
        fit(tmp_path, Own(), update=Twice())
    fit(tmp_path, Own(), transforms=[Mixed()], epochs=1)
