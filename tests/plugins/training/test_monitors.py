"""Monitors: what they see is so, what they ask for is done, and watching changes nothing."""

import json
import os
import subprocess
import sys
from importlib import import_module
from itertools import combinations

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import inradius
from inradius import load_weights
from inradius.processes import Processes
from inradius.stored.reading import records
from inradius.training.recipe import Recipe
from inradius.training.run import Run
from inradius.training.slots import Monitor, RollBack, Stop

ALL = [
    "catastrophic_overfitting(examples=20)",
    "robust_overfitting(attack=pgd(steps=3))",
    "class_accuracy(attack=pgd(steps=3))",
    "gradient_misalignment(examples=20)",
    "maximizer_distance(attack=pgd(steps=2, keep_maximising=True), restarts=3, examples=4)",
    "robustness_loss(examples=20)",
    "under_attack(fgsm(), pgd(steps=3))",
]
SETS = ["linf(eps=0.05)", "l2(eps=0.2)", "l1(eps=0.3)", "union(linf(eps=0.05), l2(eps=0.2))"]


def watching(spec):
    return inradius.make(spec, Monitor)


def network(*, norm=False, classes=2, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Linear(4, 8), *([nn.BatchNorm1d(8)] if norm else []), nn.ReLU(), nn.Dropout(0.3)]
        return nn.Sequential(*layers, nn.Linear(8, classes))


def data(count=60, classes=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    # sorted by class, as many sets are
    labels = (torch.arange(count) % classes).sort().values
    inputs = 0.3 + 0.4 * labels[:, None] / classes + 0.3 * torch.rand(count, 4, generator=generator)
    return inradius.Dataset.of(inputs, labels, name="blobs")


def engine(folder, model, monitors=(), held_out=None, trained_on=None, classes=2):
    recipe = Recipe(epochs=4, batch_size=16, monitors=tuple(watching(one) for one in monitors))
    defense = inradius.make("standard()")
    place = Processes(None, torch.device("cpu"))
    watched = data(seed=1) if held_out is None else held_out
    run = Run.open(
        folder, model=model, defense=defense, recipe=recipe, held_out=watched, processes=place, classes=classes
    )
    run.data = data() if trained_on is None else trained_on
    return run


def look(spec, run, model, threat="linf(eps=0.05)"):
    """What a monitor asks for, and the numbers it logged."""
    run.noted.clear()
    actions = watching(spec).after_epoch(model, inradius.make(threat), run)
    return actions, {name.partition("/")[2]: values[-1] for name, values in run.noted.items()}


class Linear(nn.Module):
    """Classes by the sign of ⟨w, x⟩ − b."""

    def __init__(self, weight, bias=0.0):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor(weight)), bias

    def forward(self, x):
        value = x @ self.weight - self.bias
        return torch.stack([-value, value], 1)


def separable(margin=0.2):
    """Two classes that the first input tells apart by this margin, and the second one by a fiftieth of it."""
    labels = torch.arange(40) % 2
    sign = labels * 2.0 - 1
    inputs = torch.stack([0.5 + margin * sign, 0.5 + margin / 50 * sign], 1)
    return inradius.Dataset.of(inputs, labels, name="separable")


ROBUST, BRITTLE = [10.0, 0.0], [0.0, 10.0]


def fit(folder, monitors, defense="adversarial(pgd(steps=2, keep_maximising=True))", **options):
    model = options.pop("model", None) or network(norm=True)
    options = {"epochs": 3, "batch_size": 16, "lr": 0.05, "device": "cpu"} | options
    return inradius.train(
        defense, model, options.pop("data", data()), "linf(eps=0.05)", folder=folder, monitors=monitors, **options
    )


def lines(folder):
    return records(folder / "metrics.jsonl")


# watching


def test_watching_changes_no_bit_of_a_run(tmp_path):
    pytest.importorskip("tensorboard")
    fit(tmp_path / "alone", ())
    fit(tmp_path / "watched", [*ALL, "tensorboard"])
    for file in ("last.safetensors", "best.safetensors"):
        assert (tmp_path / "alone" / file).read_bytes() == (tmp_path / "watched" / file).read_bytes()
    for alone, watched in zip(lines(tmp_path / "alone"), lines(tmp_path / "watched"), strict=True):
        assert all(watched[name] == value for name, value in alone.items() if name != "seconds")


def test_a_watched_run_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path):
    fit(tmp_path / "whole", ALL, Fragile(), epochs=4)
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "kill").touch()
    with pytest.raises(Killed):
        fit(tmp_path / "part", ALL, Fragile(), epochs=4)
    (tmp_path / "part" / "kill").unlink()
    fit(tmp_path / "part", ALL, Fragile(), epochs=4)
    whole, part = lines(tmp_path / "whole"), lines(tmp_path / "part")
    for line in (*whole, *part):
        line.pop("seconds")
    assert whole == part
    for file in ("last.safetensors", "monitors/maximizer_distance.jsonl"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "part" / file).read_bytes()


@pytest.mark.parametrize("spec", ALL)
def test_watching_leaves_the_model_as_it_was(tmp_path, spec):
    model = network(norm=True).train()
    run = engine(tmp_path, model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    look(spec, run, model)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("threat", SETS)
@pytest.mark.parametrize("spec", ALL)
def test_monitors_work_on_every_set_and_see_the_same_twice(tmp_path, spec, threat):
    model = network()
    run = engine(tmp_path, model)
    first, second = (look(spec, run, model, threat)[1] for _ in range(2))
    assert first == second
    assert all(isinstance(value, float) and value == value for value in first.values())


@pytest.mark.parametrize("spec", ALL)
def test_monitors_look_at_images(tmp_path, spec):
    model = nn.Sequential(nn.Flatten(), network())
    images = attrs.evolve(data(), inputs=data().inputs.view(-1, 1, 2, 2))
    flat, square = network(), model
    numbers = [
        look(spec, engine(tmp_path / name, one, held_out=held, trained_on=held), one)[1]
        for name, one, held in (("flat", flat, data()), ("square", square, images))
        if not (tmp_path / name).mkdir()
    ]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("spec", [*ALL, "tensorboard()", "catastrophic_overfitting(drop=0.5, go_on=True)"])
def test_specs_build_equal_monitors(spec):
    monitor = watching(spec)
    assert watching(str(monitor)) == monitor == watching(monitor.spec(full=True))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("catastrophic_overfitting(drop=2)", "drop=2 is not allowed|drop=2.0 is not allowed"),
        ("catastrophic_overfitting(attack=linf(eps=1))", "wrong kind"),
        ("robust_overfitting(patience=0)", "patience=0 is not allowed"),
        ("class_accuracy(examples=0)", "examples=0 is not allowed"),
        ("gradient_misalignment(examples=-1)", "examples=-1 is not allowed"),
        ("maximizer_distance(restarts=1)", "restarts=1 is not allowed; .* a distance needs two"),
    ],
)
def test_wrong_parameters_are_named(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        watching(spec)


@pytest.mark.parametrize("spec", ["robust_overfitting()", "class_accuracy()", "under_attack()"])
def test_nothing_held_out_is_said_before_the_first_epoch(tmp_path, spec):
    with pytest.raises(
        inradius.InputError, match=f"{spec[:-2]}.* measures on held-out examples, and this run has none"
    ):
        fit(tmp_path, [spec], validation=0)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_training_examples_need_a_run_that_draws_batches(tmp_path):
    run = engine(tmp_path, network())
    run.data = None
    with pytest.raises(inradius.PluginError, match="takes no batches from the run"):
        look("gradient_misalignment()", run, run.model)


def test_two_of_a_name_have_numbers_of_their_own(tmp_path):
    fit(tmp_path, ["class_accuracy(attack=fgsm())", "class_accuracy(attack=pgd(steps=3))"], epochs=1)
    assert {"class_accuracy_1/worst", "class_accuracy_2/worst"} <= lines(tmp_path)[0].keys()


SCRIPT = """
import sys, torch, inradius
torch.manual_seed(0)
model, data = inradius.make("mlp(64, 16, 10)"), inradius.make("digits(split='train')").take(301)
folder, *monitors = sys.argv[1:]
settings = {"folder": folder, "epochs": 2, "lr": 0.01, "device": "cpu", "monitors": monitors}
inradius.train("standard()", model, data, "linf(eps=0.05)", **settings)
"""


@pytest.mark.slow
def test_two_processes_see_what_one_sees(tmp_path):
    pytest.importorskip("sklearn")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for start, folder in (([sys.executable], "one"), (launch, "two")):
        command = [*start, str(script), str(tmp_path / folder), *ALL]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for one, two in zip(lines(tmp_path / "one"), lines(tmp_path / "two"), strict=True):
        assert one == pytest.approx(two | {"seconds": one["seconds"]}, abs=1e-4)


# catastrophic overfitting


def test_accuracies_on_the_training_batch(tmp_path):
    model, threat = network(), inradius.make("linf(eps=0.05)")
    run = engine(tmp_path, model)
    _, seen = look("catastrophic_overfitting(examples=60)", run, model)
    every, attack = run.data, inradius.make("pgd(steps=5, step=0.25)")
    robust, fast = (
        1 - one(model, every.inputs, every.labels, threat, index=every.index).success.double().mean().item()
        for one in (attack, inradius.make("fgsm()"))
    )
    assert seen == pytest.approx({"accuracy": robust, "fast_accuracy": fast, "gap": fast - robust})


def test_the_batch_is_the_same_in_every_epoch_and_has_all_classes(tmp_path):
    seen = []

    @attrs.frozen(kw_only=True)
    class Spy(inradius.Attack):
        def perturb(self, batch, *, observe=None):
            seen.append((batch.x, batch.y))
            return torch.zeros_like(batch.x)

    run = engine(tmp_path, network())
    monitor = attrs.evolve(watching("catastrophic_overfitting(examples=16)"), attack=Spy(), fast=Spy())
    for run.epoch in range(2):
        monitor.after_epoch(run.model, inradius.make("linf(eps=0.05)"), run)
    assert all(torch.equal(x, seen[0][0]) for x, _ in seen)
    assert set(seen[0][1].tolist()) == {0, 1}


@pytest.mark.parametrize(("drop", "asked"), [(0.2, 1), (1.0, 0)])
def test_a_fall_asks_for_a_roll_back(tmp_path, drop, asked):
    run = engine(tmp_path, network(), trained_on=separable())
    spec = f"catastrophic_overfitting(drop={drop})"
    assert look(spec, run, Linear(ROBUST, 5.0))[0] == []
    actions, seen = look(spec, run, Linear(BRITTLE, 5.0))
    assert seen["accuracy"] == 0
    assert [type(action) for action in actions] == [RollBack] * asked
    if asked:
        assert "fell from 1.000 to 0.000 on 128 training examples" in actions[0].reason
        assert not actions[0].go_on


def test_a_fall_that_is_no_more_than_the_drop_is_left_alone(tmp_path):
    # of the margins 0.1, 0.2, ..., 1.0 those above the radius withstand
    spec = "catastrophic_overfitting(attack=pgd(steps=10))"
    sign = torch.arange(40) % 2 * 2.0 - 1
    inputs = sign[:, None] * torch.arange(1, 11).repeat_interleave(4)[:, None] / 10
    given = inradius.Dataset.of(inputs, torch.arange(40) % 2, bounds=None, name="line")
    run = engine(tmp_path, network(), trained_on=given, held_out=given)
    for eps, before in ((0.15, 0.9), (0.25, 0.8), (0.45, 0.6)):
        actions, seen = look(spec, run, Linear([1.0]), f"linf(eps={eps}, bounds=None)")
        assert (actions, seen["accuracy"]) == ([], pytest.approx(before))
    actions, _ = look(spec, run, Linear([1.0]), "linf(eps=0.75, bounds=None)")
    assert len(actions) == 1


@attrs.frozen(kw_only=True)
class Collapsing(inradius.Defense):
    """Weights that are given for each epoch, one step each."""

    name = "collapsing"

    brittle: tuple = ()
    epochs: int = 4

    def step(self, model, batch, threat, run):
        with torch.no_grad():
            model.weight.copy_(torch.tensor(BRITTLE if run.epoch in self.brittle else ROBUST) + 0.01 * run.epoch)
        run.report(0.0)


@pytest.mark.parametrize("go_on", [False, True])
def test_a_roll_back_puts_the_weights_back_and_ends_or_goes_on(tmp_path, go_on):
    options = {"model": Linear(ROBUST, 5.0), "data": separable(), "epochs": 4, "validation": 0.25}
    fit(tmp_path, [f"catastrophic_overfitting(go_on={go_on})"], Collapsing(brittle=(2,)), **options)
    result = json.loads((tmp_path / "run.json").read_text())["result"]
    assert [line["epoch"] for line in lines(tmp_path)] == ([1, 2, 3, 4] if go_on else [1, 2, 3])
    assert [line.get("rolled_back") for line in lines(tmp_path)][2] == 1.0
    assert result["rolled_back"] == [3]
    assert (result["stopped"] is None) == go_on
    last = Linear(BRITTLE)
    load_weights(last, tmp_path / "last.safetensors")
    epoch = 3 if go_on else 1
    torch.testing.assert_close(last.weight, torch.tensor(ROBUST) + 0.01 * epoch)
    # of the brittle network the clean accuracy, which is what counts here, is as good
    assert result["best_epoch"] == epoch + 1


# robust overfitting


def test_gap_and_patience(tmp_path):
    run = engine(tmp_path, network(), held_out=separable())
    spec = "robust_overfitting(patience=2)"
    seen = []
    for run.epoch, weight in enumerate((BRITTLE, ROBUST, BRITTLE, BRITTLE)):
        seen.append(look(spec, run, Linear(weight, 5.0)))
    assert [(one["accuracy"], one["best"], one["gap"]) for _, one in seen] == [
        (0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 1.0, 1.0), (0.0, 1.0, 1.0),
    ]  # fmt: skip
    assert [len(actions) for actions, _ in seen] == [0, 0, 0, 1]
    (stop,) = seen[-1][0]
    assert isinstance(stop, Stop)
    assert "was 1.000 after epoch 2 and is 0.000 after epoch 4" in stop.reason


def test_without_patience_nothing_is_asked_for(tmp_path):
    run = engine(tmp_path, network(), held_out=separable())
    for run.epoch, weight in enumerate((ROBUST, *[BRITTLE] * 5)):
        assert look("robust_overfitting()", run, Linear(weight, 5.0))[0] == []


def test_a_run_stops_when_patience_ends(tmp_path):
    options = {"model": Linear(ROBUST, 5.0), "data": separable(), "epochs": 9, "validation": 0.25}
    fit(tmp_path, ["robust_overfitting(patience=1)"], Collapsing(brittle=(2, 3, 4, 5)), **options)
    assert len(lines(tmp_path)) == 3
    assert json.loads((tmp_path / "run.json").read_text())["result"]["stopped"].startswith("robust overfitting")


# classes


def test_accuracy_of_each_class(tmp_path):
    model = network(classes=3)
    held_out = data(classes=3, seed=1).select(torch.arange(50))
    run = engine(tmp_path, model, held_out=held_out, classes=3)
    _, seen = look("class_accuracy(attack=pgd(steps=3))", run, model)
    found = inradius.make("pgd(steps=3)")(
        model, held_out.inputs, held_out.labels, inradius.make("linf(eps=0.05)"), index=held_out.index
    )
    shares = [1 - found.success[held_out.labels == label].double().mean().item() for label in range(3)]
    assert [seen[str(label)] for label in range(3)] == pytest.approx(shares)
    assert seen["worst"] == pytest.approx(min(shares))
    assert seen["mean"] == pytest.approx(sum(shares) / 3)
    assert shares[int(seen["worst_class/number"])] == pytest.approx(min(shares))


def test_a_class_that_is_not_held_out_has_no_accuracy(tmp_path):
    model = network(classes=3)
    run = engine(tmp_path, model, held_out=data(classes=2), classes=3)
    _, seen = look("class_accuracy(attack=fgsm())", run, model)
    assert "2" not in seen
    assert seen["worst"] == min(seen["0"], seen["1"])


# gradients


def test_a_linear_loss_has_aligned_gradients_and_a_bent_one_has_not(tmp_path):
    run = engine(tmp_path, network(), trained_on=separable())
    assert look("gradient_misalignment()", run, Linear(ROBUST, 5.0))[1]["cosine"] == pytest.approx(1)

    class Wave(nn.Module):
        def forward(self, x):
            return (200 * x).sin()

    assert look("gradient_misalignment()", run, Wave())[1]["cosine"] < 0.5


def test_the_cosine_is_that_of_autograd(tmp_path):
    model, threat = network().eval(), inradius.make("l2(eps=0.2)")
    run = engine(tmp_path, model)
    _, seen = look("gradient_misalignment(examples=60)", run, model, "l2(eps=0.2)")
    given = run.data
    u = threat.sample(given.inputs, rng=inradius.ExampleRNG(run.seed, given.index))
    gradients = []
    for point in (given.inputs.clone(), given.inputs + u):
        loss = F.cross_entropy(model(point.requires_grad_()), given.labels, reduction="sum")
        gradients.append(torch.autograd.grad(loss, point)[0])
    assert seen["cosine"] == pytest.approx(F.cosine_similarity(*gradients, dim=1).mean().item(), abs=1e-5)
    assert seen["vanished"] == 0


def test_gradients_that_vanish_have_no_cosine(tmp_path):
    run = engine(tmp_path, network(), trained_on=separable())
    assert look("gradient_misalignment()", run, Linear([0.0, 0.0]))[1] == {"vanished": 1}


# maximisers


def test_distances_are_those_of_all_pairs(tmp_path):
    model, threat = network(), inradius.make("linf(eps=0.05)")
    run = engine(tmp_path, model)
    attack = "pgd(steps=1, keep_maximising=True)"
    _, seen = look(f"maximizer_distance(attack={attack}, restarts=4, examples=60)", run, model)
    given = run.data
    found = [
        attrs.evolve(inradius.make(attack), seed=seed)(model, given.inputs, given.labels, threat, index=given.index)
        for seed in range(4)
    ]
    distances = torch.stack([(a.delta - b.delta).norm(dim=1) for a, b in combinations(found, 2)])
    with torch.no_grad():
        losses = torch.stack(
            [F.cross_entropy(model.eval()(given.inputs + one.delta), given.labels, reduction="none") for one in found]
        )
    assert seen["mean"] == pytest.approx(distances.mean().item(), rel=1e-4)
    assert seen["median"] == pytest.approx(distances.median().item(), abs=0.01)
    assert 0 <= seen["low"] <= seen["median"] <= seen["high"] <= distances.max().item() + 1e-6
    assert seen["loss/mean"] == pytest.approx(losses.mean().item(), rel=1e-4)
    assert seen["loss/deviation"] == pytest.approx(losses.std(0, correction=0).mean().item(), rel=1e-3)


def test_a_single_maximiser_has_no_distance_and_two_have_theirs(tmp_path):
    run = engine(tmp_path, network(), trained_on=separable())
    spec = "maximizer_distance(attack=pgd(steps=10, keep_maximising=True), restarts=6, examples=40)"
    # of a linear function it is a corner, up to inputs that count for nothing
    one = look(spec, run, Linear([10.0, 10.0], 10.0), "linf(eps=0.05)")[1]
    assert one["high"] == pytest.approx(0, abs=1e-6)

    class Valley(nn.Module):
        def forward(self, x):
            value = (x - 0.5)[:, 1].abs()
            return torch.stack([value, -value], 1)

    centred = inradius.Dataset.of(torch.full((40, 2), 0.5), torch.ones(40), name="centred")
    run.data = centred
    two = look(spec, run, Valley(), "linf(eps=0.05)")[1]
    assert two["high"] >= 0.1 - 1e-6
    assert two["loss/deviation"] == pytest.approx(0, abs=1e-5)


def test_each_epoch_leaves_a_histogram_also_after_a_stop(tmp_path):
    spec = "maximizer_distance(attack=pgd(steps=1), restarts=3, examples=5, bins=7)"
    fit(tmp_path, [spec])
    fit(tmp_path, [spec])
    (file,) = (tmp_path / "monitors").iterdir()
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert file.name == "maximizer_distance.jsonl"
    assert [line["epoch"] for line in found] == [1, 2, 3]
    assert all(sum(line["counts"]) == 5 * 3 and len(line["edges"]) == 8 for line in found)


# TensorBoard


def events(folder):
    """Every number that was written, as pairs of a tag and the steps it has."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder / "monitors" / "tensorboard"))
    read.Reload()
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


class Killed(BaseException):
    """What ends a run from outside."""


@attrs.frozen(kw_only=True)
class Fragile(inradius.Defense):
    """Plain training that is killed in an epoch."""

    name = "fragile"

    def loss(self, model, batch, threat, run):
        if run.epoch == 2 and (run.folder / "kill").exists():
            raise Killed
        return F.cross_entropy(model(batch.inputs), batch.labels, reduction="none")


def test_tensorboard_has_every_number_once_also_after_a_stop(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "kill").touch()
    monitors = ["catastrophic_overfitting(examples=8)", "tensorboard"]
    with pytest.raises(Killed):
        fit(tmp_path, monitors, Fragile(), epochs=4)
    assert [step for step, _ in events(tmp_path)["loss"]] == [1, 2]
    # as if the run had been killed between its record and this
    sorted((tmp_path / "monitors" / "tensorboard").iterdir())[-1].unlink()
    (tmp_path / "kill").unlink()
    fit(tmp_path, monitors, Fragile(), epochs=4)
    found, written = events(tmp_path), lines(tmp_path)
    assert set(found) == written[0].keys() - {"epoch"}
    for tag, points in found.items():
        assert [step for step, _ in points] == [1, 2, 3, 4]
        assert [value for _, value in points] == pytest.approx([line[tag] for line in written], rel=1e-6)


def test_a_fresh_run_leaves_nothing_of_the_one_before(tmp_path):
    pytest.importorskip("tensorboard")
    fit(tmp_path, ["tensorboard"], epochs=3)
    fit(tmp_path, ["tensorboard"], epochs=2, fresh=True)
    assert [step for step, _ in events(tmp_path)["loss"]] == [1, 2]


def test_a_missing_tensorboard_is_said_before_the_first_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("inradius_training.monitors.tensorboard"), "find_spec", lambda name: None)
    with pytest.raises(
        inradius.UnsupportedError, match=r'tensorboard, which is not installed; pip install "inradius\[tensorboard\]"'
    ):
        fit(tmp_path, ["tensorboard"])
    assert not (tmp_path / "metrics.jsonl").exists()


# under_attack


def test_accuracies_are_those_of_the_attacks(tmp_path):
    run = engine(tmp_path, Linear(BRITTLE, 5.0), held_out=separable())
    _, seen = look("under_attack(fgsm(), pgd(steps=2), fgsm(seed=1))", run, run.model, "linf(eps=0.1)")
    assert seen == {"clean": 1.0, "fgsm_1": 0.0, "pgd": 0.0, "fgsm_2": 0.0}
    _, seen = look("under_attack(fgsm())", run, Linear(ROBUST, 5.0), "linf(eps=0.1)")
    assert seen == {"clean": 1.0, "fgsm": 1.0}


def test_data_of_its_own_are_looked_at(tmp_path):
    model = nn.Linear(64, 10)
    images = inradius.make("digits", inradius.Dataset).take(50)
    run = engine(tmp_path, model)
    _, seen = look("under_attack(data='digits', examples=50)", run, nn.Sequential(nn.Flatten(), model))
    expected = (model(images.inputs.flatten(1)).argmax(1) == images.labels).double().mean()
    assert seen == {"clean": pytest.approx(float(expected))}


# robustness_loss


def test_terms_are_those_of_the_predictions(tmp_path):
    model, held = network(), data()
    run = engine(tmp_path, model.eval(), held_out=held, trained_on=held)
    attack = inradius.make("pgd(steps=3, step=0.4, noise=0.01, objective=kl(), keep_maximising=True)", inradius.Attack)
    _, seen = look(f"robustness_loss(attack={attack}, iterate=1, examples={len(held)})", run, model)
    way = {}
    threat = inradius.make("linf(eps=0.05)", inradius.ThreatModel)
    answer = attack(
        model, held.inputs, held.labels, threat, index=held.index, observe=lambda n, d: way.update({n: d.clone()})
    )
    p, middle, end = (model(held.inputs + delta).softmax(1).double() for delta in (0, way[1], answer.delta))

    def kl(one, other):
        return (one * (one / other).log()).sum(1).mean().item()

    def spread(one):
        return -(one * one.log()).sum(1).mean().item()

    assert seen["R"] == pytest.approx(kl(p, end), rel=1e-3)
    assert seen["R_separated"] == pytest.approx(kl(p, middle) + kl(middle, end), rel=1e-3)
    assert seen["entropy_clean"] == pytest.approx(spread(p), rel=1e-4)
    assert seen["entropy_attacked"] == pytest.approx(spread(end), rel=1e-4)
