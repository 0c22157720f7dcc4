"""What compares the checkpoints of a run: which examples, by what, and that no test data slip in."""

import json

import attrs
import pytest
import torch
from torch import nn

import inradius
from inradius.training.selection import says_test, select, why_test
from inradius.training.slots import Monitor, RollBack

SET = "linf(eps=8/255)"


def blobs(count=40, seed=0, name="blobs"):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    inputs = 0.3 + 0.4 * labels[:, None] + 0.2 * torch.rand(count, 2, generator=generator) - 0.1
    return inradius.Dataset.of(inputs, labels, name=name)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))


def fit(folder, defense="standard()", **options):
    options = {"epochs": 3, "batch_size": 16, "lr": 0.05, "device": "cpu"} | options
    return inradius.train(defense, network(), options.pop("data", blobs()), SET, folder=folder, **options)


def record(folder):
    return json.loads((folder / "run.json").read_text())


@attrs.frozen(kw_only=True)
class Scored(inradius.Defense):
    """Plain training whose scores are given."""

    name = "scored"

    scores: tuple = ()

    def loss(self, model, batch, threat, run):
        return nn.functional.cross_entropy(model(batch.inputs), batch.labels, reduction="none")

    def score(self, model, batch, threat, run):
        return torch.arange(len(batch)) < self.scores[run.epoch] * len(batch)


@attrs.frozen(kw_only=True)
class TakesBack(Monitor):
    """Rolls some epochs back."""

    name = "takes_back"

    epochs: tuple = ()

    def after_epoch(self, model, threat, run):
        return [RollBack("as asked", go_on=True)] if run.epoch in self.epochs else []


# other data


def test_another_data_set_compares_the_checkpoints(tmp_path):
    fit(tmp_path, validation=blobs(24, seed=1, name="other"))
    found = record(tmp_path)
    assert (found["result"]["trained_on"], found["result"]["held_out"]) == (40, 24)
    assert (found["settings"]["validation"], found["selection"]["on"]) == ("other", "other")
    assert found["selection"]["examples"] == 24


def test_other_data_may_be_a_spec(tmp_path):
    pytest.importorskip("sklearn")
    data = inradius.make("moons(n=40, seed=0)")
    options = {"folder": tmp_path, "epochs": 1, "validation": "moons(n=30, seed=1)"}
    inradius.train("standard()", network(), data, "linf(eps=0.1, bounds=None)", **options)
    assert record(tmp_path)["selection"]["on"] == "moons(n=30, noise=0.1, seed=1)"


def test_a_folder_with_other_validation_data_is_refused(tmp_path):
    fit(tmp_path, validation=blobs(24, seed=1, name="other"))
    with pytest.raises(inradius.InputError, match="validation_examples="):
        fit(tmp_path, validation=blobs(24, seed=2, name="other"))
    with pytest.raises(inradius.InputError, match="validation="):
        fit(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.rand(40, 3)}, r"inputs of shape \(3,\), and blobs \(2,\)"),
        ({"bounds": (0.0, 2.0)}, r"the valid inputs \(0.0, 2.0\), and blobs \(0.0, 1.0\)"),
        ({"labels": blobs().labels + 1}, "label 2 of other is out of range"),
    ],
)
def test_other_data_must_be_of_the_same_kind(tmp_path, change, message):
    with pytest.raises(inradius.InputError, match=message):
        fit(tmp_path / "run", validation=attrs.evolve(blobs(seed=1, name="other"), **change))
    assert not (tmp_path / "run").exists()


def test_no_other_data_is_an_error(tmp_path):
    with pytest.raises(inradius.InputError, match="validation=other has no examples"):
        fit(tmp_path, validation=blobs(name="other").take(0))


# test data


@pytest.mark.parametrize(
    "name",
    [
        "cifar10('folder', split='test')", "digits(split='held_out')", "npz('images/mnist_test.npz')", "held-out images",
        'idx("folder", split="test")', "Test", "npz('x/test/test.npz')",
    ],
)  # fmt: skip
def test_names_that_speak_of_a_test(name):
    assert says_test(name)


@pytest.mark.parametrize(
    "name",
    [
        "cifar10('test', split='train')",
        "digits(split='train')",
        "npz('/tmp/test_run/latest.npz')",
        "contest",
        "attested",
    ],
)
def test_names_that_do_not(name):
    assert not says_test(name)


def test_test_data_are_refused_unless_they_are_meant(tmp_path):
    other = blobs(24, seed=1, name="my test images")
    with pytest.raises(
        inradius.InputError,
        match=r"my test images is test data \(its name says so\).*select_on_test=True \(--select-on-test\)",
    ):
        fit(tmp_path / "run", validation=other)
    assert not (tmp_path / "run").exists()
    fit(tmp_path / "run", validation=other, select_on_test=True)
    assert record(tmp_path / "run")["selection"]["test_data"] is True


def test_the_examples_of_a_test_split_are_known_under_any_name():
    pytest.importorskip("sklearn")
    train, held_out = inradius.make("digits(split='train')"), inradius.make("digits")
    hidden = inradius.Dataset.of(held_out.inputs[5:9], held_out.labels[5:9], name="mine")
    assert why_test(hidden, train) == "4 of its examples are in digits(split='held_out')"
    assert (
        why_test(inradius.make("digits(split='all')"), blobs()) == "360 of its examples are in digits(split='held_out')"
    )
    assert why_test(attrs.evolve(train, name="mine"), train) is None
    assert why_test(hidden, attrs.evolve(train, name="unknown")) is None


def test_a_share_of_the_data_needs_no_leave_and_is_recorded(tmp_path):
    fit(tmp_path / "a")
    assert record(tmp_path / "a")["selection"]["test_data"] is False
    fit(tmp_path / "b", data=blobs(name="test"))
    assert record(tmp_path / "b")["selection"]["test_data"] is True


# the record


def test_the_rule_is_recorded(tmp_path):
    fit(tmp_path, "adversarial(pgd(steps=2))")
    rule = record(tmp_path)["selection"]
    attack = inradius.make("pgd(steps=2)").spec(full=True)
    assert rule == {
        "rule": "the epoch with the highest score, the later one of equals",
        "score": f"accuracy under {attack}",
        "on": "0.1 of blobs",
        "examples": 4,
        "test_data": False,
        # as it was given, since 0.03137 is another radius
        "threat": "linf(eps=8/255)",
        "radius": 8 / 255,
    }


@pytest.mark.parametrize(
    ("defense", "score"), [("standard()", "clean accuracy"), (Scored(scores=(1.0,) * 3), "the score of scored(")]
)
def test_the_score_has_a_name(tmp_path, defense, score):
    fit(tmp_path, defense)
    assert record(tmp_path)["selection"]["score"].startswith(score)


def test_nothing_held_out_is_recorded(tmp_path):
    fit(tmp_path, validation=0)
    found = record(tmp_path)
    assert found["selection"]["on"] == "nothing: the last epoch counts"
    assert [found["result"][name] for name in ("best_score", "last_score", "gap")] == [None, None, None]


def test_best_last_and_gap_are_recorded(tmp_path):
    fit(tmp_path, Scored(scores=(0.5, 1.0, 0.25)))
    result = record(tmp_path)["result"]
    assert [result[name] for name in ("best_epoch", "best_score", "last_score", "gap")] == [2, 1.0, 0.25, 0.75]


def test_an_epoch_that_is_rolled_back_is_neither_the_best_nor_the_last(tmp_path):
    fit(tmp_path, Scored(scores=(0.5, 1.0, 0.25, 1.0)), epochs=4, monitors=[TakesBack(epochs=(1, 3))])
    result = record(tmp_path)["result"]
    assert [result[name] for name in ("best_epoch", "best_score", "last_score", "gap")] == [1, 0.5, 0.25, 0.25]
    assert result["rolled_back"] == [2, 4]


def test_a_share_out_of_range_is_named(tmp_path):
    with pytest.raises(inradius.SpecError, match=r"validation=1\.5 is not allowed"):
        fit(tmp_path, validation=1.5)


def test_selection_shares_no_example():
    from inradius.training.recipe import Recipe

    found = select(blobs(), 0.25, Recipe(validation=0.25), test_allowed=False)
    assert not set(found.training.index.tolist()) & set(found.held_out.index.tolist())
    assert len(found.held_out) == 10
