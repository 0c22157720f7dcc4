"""``inradius train`` and the reports of its runs: every option reaches the run, and what came out is said."""

import inspect
import json
import re
import shlex

import numpy as np
import pytest
from cli_cases import change, complaint, write
from run_toys import write_run

import inradius
from inradius.cli import run
from inradius.cli.train import train
from inradius.training.option import OPTIMISATION, SELECTION, SLOTS
from inradius.training.options import FIELDS
from inradius.training.selection import evaluated_on


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = change(write(tmp_path), "--model", "mlp(6, 4, 3)")
    return [*options, "--threat", "linf(eps=1/50)", "--epochs", "2", "--device", "cpu", "--out", "run"]


def printed(capsys, *arguments):
    assert run([str(argument) for argument in arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def row(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


def record(folder):
    return json.loads((folder / "run.json").read_text())


def test_slots_reach_the_run(capsys, asked, tmp_path):
    slots = {
        "transform": ["mixup()"],
        "regularizer": ["l2_penalty(weight=0.01)", "l1_penalty(weight=0.02)"],
        "monitor": ["class_accuracy(attack=fgsm())", "gradient_misalignment(examples=4)"],
        "sampler": ["shuffled()"],
        "direction": ["average()"],
        "update": ["sam()"],
        "radius": ["ramp(over=0.5)"],
        "schedule": ["steps(at=(0.25,))"],
    }
    given = [part for name, values in slots.items() for one in values for part in (f"--{name}", one)]
    printed(capsys, "train", "adversarial(pgd(steps=2))", *asked, *given)
    settings = record(tmp_path / "run")["settings"]
    for name, values in slots.items():
        specs = [inradius.make(value).spec(full=True) for value in values]
        assert settings[name] == specs[0] if name in settings else settings[f"{name}s"] == specs


def test_other_options_reach_the_run(capsys, asked, tmp_path):
    options = {"optimizer": "sgd", "lr": 0.02, "weight_decay": 0.001, "clip": 2.0, "ema": 0.9, "precision": "bfloat16"}
    given = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    printed(capsys, "train", "standard", *asked, *given, "--batch-size", 9, "--seed", 4)
    found = record(tmp_path / "run")["settings"]
    assert {name: found[name] for name in options} == options
    assert (found["batch_size"], found["seed"], found["compile"]) == (9, 4, False)


def test_a_slot_without_a_place_is_named(capsys, asked, monkeypatch):
    monkeypatch.setattr(type(inradius.make("standard()")), "unused_slots", lambda self: frozenset({"update"}))
    sentence = complaint(capsys, "train", "standard", *asked, "--update", "sam()")
    assert sentence.startswith("update='sam()' has no place in standard()")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--monitor", "sam()", "'sam()' makes an Update, but a Monitor is needed here"),
        ("--monitor", "catastrofic_overfitting()", "did you mean catastrophic_overfitting"),
        ("--radius", "ramp(over=2)", "over=2.0 is not allowed"),
        ("--validation", "1.5", "validation=1.5 is not allowed"),
        ("--validation", "no_data()", "'no_data' is not a known name"),
        ("--precision", "float8", "precision='float8' is not known"),
    ],
)
def test_a_wrong_option_is_named(capsys, asked, tmp_path, option, value, message):
    sentence = complaint(capsys, "train", "standard", *asked, option, value)
    assert message in sentence
    assert not (tmp_path / "run").exists()


def test_every_option_of_the_recipe_is_one_of_the_command():
    shown = inspect.signature(train).parameters
    assert list(shown)[-len(FIELDS) :] == list(FIELDS)


def test_help_groups_the_options(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    help_ = printed(capsys, "train", "--help")
    groups = re.split(r"╭─ ", help_)
    for title, options in (
        (
            OPTIMISATION,
            [
                *("--optimizer", "--lr", "--schedule", "--momentum", "--weight-decay"),
                *("--clip", "--ema", "--precision", "--compile"),
            ],
        ),
        (SELECTION, ["--select-on-test", "--validation"]),
        (SLOTS, ["--transform", "--sampler", "--radius", "--regularizer", "--direction", "--update", "--monitor"]),
    ):
        (group,) = (group for group in groups if group.startswith(title))
        assert re.findall(r"│\s+(--[\w-]+)", group) == options


# what compares the checkpoints


def test_the_radius_is_recorded_as_it_was_typed(capsys, asked, tmp_path):
    printed(capsys, "train", "standard", *asked)
    rule = record(tmp_path / "run")["selection"]
    assert (rule["threat"], rule["radius"]) == ("linf(eps=1/50)", 0.02)


def test_other_data_compare_the_checkpoints(capsys, asked, tmp_path):
    data = dict(np.load(tmp_path / "data.npz"))
    for name in ("other.npz", "the_test.npz"):
        np.savez(tmp_path / name, **data | {"inputs": 0.5 * data["inputs"] + 0.1})
    printed(capsys, "train", "standard", *asked, "--validation", "npz:other.npz")
    assert record(tmp_path / "run")["selection"]["on"] == "npz('other.npz')"
    test = [*change(asked, "--out", "second"), "--validation", "npz:the_test.npz"]
    assert "is test data (its name says so)" in complaint(capsys, "train", "standard", *test)
    printed(capsys, "train", "standard", *test, "--select-on-test")
    assert record(tmp_path / "second")["selection"]["test_data"] is True


# learning curves


def test_train_says_what_came_out(capsys, asked, tmp_path):
    pytest.importorskip("matplotlib")
    out = printed(capsys, "train", "adversarial(pgd(steps=2))", *asked)
    assert re.match(
        r"score {10}best \d\.\d{4} after epoch \d, last \d\.\d{4} after epoch 2, gap \d\.\d{4}$", row(out, "score")
    )
    assert row(out, "curves") == "curves         run/learning_curves.svg"
    assert (tmp_path / "run" / "learning_curves.svg").is_file()
    (tmp_path / "run" / "learning_curves.svg").unlink()
    again = printed(capsys, "report", "run")
    assert again.splitlines() == [row(out, "score"), row(out, "curves")]
    assert (tmp_path / "run" / "learning_curves.svg").is_file()


def test_train_says_how_to_evaluate_on_the_same_data_and_set(capsys, asked):
    out = printed(capsys, "train", "standard", *asked)
    command = shlex.split(row(out, "evaluate them").removeprefix("evaluate them"))
    assert command[:2] == ["inradius", "bracket"]
    options = dict(zip(command[2::2], command[3::2], strict=True))
    assert options == {
        "--model": "mlp(6, 4, 3)",
        "--weights": "run/best.safetensors",
        "--data": asked[asked.index("--data") + 1],
        "--threat": "linf(eps=1/50)",
    }


@pytest.mark.parametrize(
    ("trained_on", "evaluated"),
    [
        ("mnist5k(split='train')", "mnist5k()"),
        ("mnist5k(n=3, split='train')", "mnist5k(n=3)"),
        ('mnist5k(split="train", n=3)', "mnist5k(n=3)"),
        ("joined(digits(split='train'), npz('train.npz'))", "joined(digits(), npz('train.npz'))"),
        ("digits(split='test')", "digits(split='test')"),
        ("npz:data.npz", "npz:data.npz"),
    ],
)
def test_a_network_is_evaluated_on_the_same_data_without_the_training_split(trained_on, evaluated):
    assert evaluated_on(trained_on) == evaluated


def test_train_says_that_nothing_was_held_out(capsys, asked):
    out = printed(capsys, "train", "standard", *asked, "--validation", "0")
    assert row(out, "score").endswith("nothing was held out; the last of 2 epochs counts")


def test_without_matplotlib_the_numbers_are_said(capsys, asked, tmp_path, monkeypatch):
    monkeypatch.setattr("inradius.cli.curves.find_spec", lambda name: None)
    out = printed(capsys, "train", "standard", *asked)
    assert row(out, "curves").endswith("not drawn: matplotlib is not installed")
    assert row(out, "score")
    assert not (tmp_path / "run" / "learning_curves.svg").exists()


def test_report_tells_what_was_rolled_back_and_why_a_run_stopped(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", rolled_back=(3,))
    actions = [
        {"epoch": 2, "action": "Set", "name": "lr", "factor": 0.5, "reason": "it rose"},
        {"epoch": 3, "action": "RollBack", "go_on": True, "reason": "it fell"},
        {"epoch": 5, "action": "Stop", "reason": "it was enough"},
    ]
    result = {"stopped": "it was enough", "actions": actions}
    (tmp_path / "run" / "run.json").write_text(json.dumps({"result": result}))
    out = printed(capsys, "report", "run")
    assert row(out, "score").endswith("best 0.7000 after epoch 2, last 0.6500 after epoch 5, gap 0.0500")
    assert row(out, "rolled back") == "rolled back    epoch 3"
    assert row(out, "changed") == "changed        lr times 0.5 after epoch 2: it rose"
    assert row(out, "went on") == "went on        from before epoch 3: it fell"
    assert row(out, "stopped") == "stopped        it was enough"


def test_report_compares_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        write_run(tmp_path / name)
    out = printed(capsys, "report", "one", "two", "--out", "both.pdf")
    assert [line.split(":")[0].split()[-1] for line in out.splitlines()[:2]] == ["one", "two"]
    assert (tmp_path / "both.pdf").read_bytes().startswith(b"%PDF")
    printed(capsys, "report", "one", "two")
    assert (tmp_path / "learning_curves.svg").is_file()


def test_report_names_the_folder_that_holds_no_training_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "one")
    assert complaint(capsys, "report", "one", "nothing").startswith("'nothing' is no folder of a training run")
    assert "holds no readable report.json" in complaint(capsys, "report", "nothing")


# progress


def test_progress_says_epoch_loss_best_score_and_time_left(capsys, asked, monkeypatch):
    from rich.progress import Progress

    said = []
    update = Progress.update
    monkeypatch.setattr(
        Progress, "update", lambda bar, *given, **more: said.append(more) or update(bar, *given, **more)
    )
    inradius.train("standard", "mlp(6, 4, 3)", asked[3], "linf(eps=0.02)", folder="run", epochs=2, progress=True)
    assert re.fullmatch(r"epoch 1/2, loss \d+\.\d{4}", said[0]["description"])
    assert re.fullmatch(r"epoch 2/2, loss \d+\.\d{4}, best score \d\.\d{4}", said[-2]["description"])
    assert re.search(r"\d:\d\d:\d\d", capsys.readouterr().out)
