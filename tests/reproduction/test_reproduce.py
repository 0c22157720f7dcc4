"""A table's numbers are those of its trainings; stopped and shared runs give the same table as one that is not."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time

import pytest
import torch
from table_toys import RECIPE, TABLE, write_toy

import inradius
from inradius import Dataset, InputError, SpecError
from inradius.cli import run
from inradius.processes import alone, launched
from inradius.reproduction import cell
from inradius.reproduction.reproduce import JSON, MARKDOWN, reproduce
from inradius.stored.reading import record, records

JUDGED = "subset(digits, count=40)"


@pytest.fixture
def toy(tmp_path):
    return write_toy(tmp_path)


@pytest.fixture
def trainings(monkeypatch):
    """The seeds and defenses of the trainings that are begun."""
    begun, train = [], cell.train

    def counted(defense, *arguments, **options):
        begun.append((defense, options["seed"]))
        return train(defense, *arguments, **options)

    monkeypatch.setattr(cell, "train", counted)
    return begun


def numbers(folder):
    """The rows of a written table."""
    return record(folder / JSON)["rows"]


def by_hand(folder, defense, seed, lr):
    """The numbers of a cell, without the code that reproduces tables."""
    data = inradius.make("subset(digits(split='train'), count=80)", Dataset)
    watch = f"under_attack(fgsm(), data='{JUDGED}')"
    options = {"epochs": 3, "batch_size": 20, "optimizer": "sgd", "lr": lr, "validation": 0.25, "monitors": [watch]}
    model = inradius.train(defense, "mlp(64, 8, 10)", data, "linf(eps=0.1)", folder=folder, seed=seed, **options)
    judged, threat = inradius.make(JUDGED, Dataset), inradius.make("linf(eps=0.1)", inradius.ThreatModel)
    x, y = judged.inputs, judged.labels
    clean = float((model(x).argmax(1) == y).double().mean())
    smaller = inradius.make("linf(eps=0.02)", inradius.ThreatModel)
    proved = float(inradius.make("interval", inradius.Certifier)(model, x, y, smaller).certified.double().mean())
    inradius.load_weights(model, folder / "last.safetensors")
    broken = float(inradius.make("fgsm()", inradius.Attack)(model, x, y, threat).success.double().mean())
    logged = [line["under_attack/fgsm"] for line in records(folder / "metrics.jsonl")]
    best, end = max(logged), statistics.mean(logged[-2:])
    return {
        "clean": 100 * clean,
        "robust": 100 * broken,
        "proved": proved,
        "best": 100 * best,
        "end": 100 * end,
        "gap": 100 * (best - end),
    }


def test_the_numbers_are_those_of_the_trainings(toy, tmp_path):
    found = reproduce(str(toy), folder=tmp_path / "out")
    defenses = {"PGD": ("adversarial(pgd(steps=2, keep_maximising=True))", 0.1), "standard | plain": ("standard", 0.05)}
    for row in numbers(tmp_path / "out"):
        defense, rate = defenses[row["name"]]
        expected = [by_hand(tmp_path / f"{rate}-{seed}", defense, seed, rate) for seed in range(2)]
        for name, entry in row["numbers"].items():
            assert entry["values"] == pytest.approx([numbers[name] for numbers in expected]), name
            assert entry["ours"]["mean"] == pytest.approx(statistics.mean(entry["values"]))
            assert entry["ours"]["deviation"] == pytest.approx(statistics.stdev(entry["values"]))
    assert found.to_json()["rows"] == numbers(tmp_path / "out")


def test_the_paper_stands_beside_ours_with_the_difference_in_setting(toy, tmp_path):
    found = reproduce(str(toy), folder=tmp_path / "out", seeds=1)
    first, second = numbers(tmp_path / "out")
    assert first["numbers"]["clean"]["paper"] == {"value": 90.5, "deviation": 0.25}
    assert first["numbers"]["robust"]["paper"] == {"value": 40.0, "deviation": None}
    assert first["numbers"]["proved"]["paper"] is None
    assert first["numbers"]["clean"]["ours"]["deviation"] is None
    differing = found.differences()
    assert differing["epochs"] == {row["name"]: ["30", "3"] for row in (first, second)}
    assert differing["lr"] == {"standard | plain": ["0.1", "0.05"]}
    assert differing["momentum"]["PGD"] == ["0.5", "none"]
    assert "batch_size" not in differing
    text = (tmp_path / "out" / MARKDOWN).read_text()
    clean = first["numbers"]["clean"]["values"][0]
    assert f"| PGD | 90.5 ± 0.25 / {clean:.4g} |" in text
    assert "| standard \\| plain | 99 / " in text
    assert "| epochs | `30` | `3` |" in text
    assert "| lr (standard \\| plain) | `0.1` | `0.05` |" in text
    assert "- digits are digits" in text
    assert "one seed" in text


def test_what_was_done_is_not_done_again(toy, tmp_path, trainings):
    def stop(done, count, told):
        assert count == 4
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(str(toy), folder=tmp_path / "out", told=stop)
    assert [seed for _, seed in trainings] == [0, 0]
    reproduce(str(toy), folder=tmp_path / "out")
    assert [seed for _, seed in trainings] == [0, 0, 1, 1]
    whole = numbers(tmp_path / "out")
    reproduce(str(toy), folder=tmp_path / "out", rows=["PGD"])
    assert len(trainings) == 4
    assert numbers(tmp_path / "out") == whole[:1]
    reproduce(str(toy), folder=tmp_path / "out", fresh=True)
    assert len(trainings) == 8
    assert numbers(tmp_path / "out") == whole
    reproduce(str(write_toy(tmp_path, recipe=RECIPE.replace("epochs = 3", "epochs = 2"))), folder=tmp_path / "out")
    assert len(trainings) == 12


def test_a_training_that_diverges_leaves_its_row_without_the_number(tmp_path):
    toy = write_toy(tmp_path, table=TABLE.replace("lr = 0.05", "lr = 1e30"))
    found = reproduce(str(toy), folder=tmp_path / "out", seeds=1)
    _, row = numbers(tmp_path / "out")
    assert row["numbers"]["clean"] == {"paper": {"value": 99.0, "deviation": None}, "ours": None, "values": []}
    assert any(remark.startswith("standard | plain, seed 0: ") for remark in found.remarks())
    assert "| 99 / – |" in (tmp_path / "out" / MARKDOWN).read_text()


def test_a_process_that_a_launcher_started_trains_alone(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launched()
    with alone():
        assert not launched()
    assert launched()


def test_the_command_prints_the_table(toy, tmp_path, capsys):
    assert (
        run(["reproduce", str(toy), "--seeds", "1", "--row", "PGD", "--device", "cpu", "--out", str(tmp_path / "o")])
        == 0
    )
    printed = capsys.readouterr()
    assert "A toy (nowhere, table 1)" in printed.out
    assert "90.5 ± 0.25 / " in printed.out
    assert "differs from the paper in data, epochs, momentum, validation" in printed.out
    assert printed.err.startswith("1 of 1: PGD, seed 0: clean ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "'none' is not a known table; "),
        (["thesis-4.33"], "did you mean thesis-4.3"),
        (["none.toml"], "'none.toml' cannot be read"),
        (["toy.toml", "--row", "PG"], "has no row 'PG'; did you mean 'PGD'"),
        (["toy.toml", "--seeds", "0"], "Invalid value for '--seeds'"),
        (["toy.toml", "--scale", "paper"], "files of your own; give their folder"),
        (["toy.toml", "--scale", "paper", "--data-folder", "nowhere"], "nowhere/images.npz"),
        (["thesis-4.3", "--scale", "paper", "--data-folder", "nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_in_a_command_is_said(toy, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run(["reproduce", *arguments, "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_numbers_that_a_run_does_not_log_are_named(tmp_path):
    toy = write_toy(tmp_path, table=TABLE.replace("under_attack/fgsm", "under_attack/pgd"))
    with pytest.raises(InputError, match=r"the run logs no 'under_attack/pgd' after each epoch; it logs .*fgsm"):
        reproduce(str(toy), folder=tmp_path / "out", seeds=1)


def test_seeds_are_at_least_one(toy, tmp_path):
    with pytest.raises(SpecError, match="seeds=0 is not allowed"):
        reproduce(str(toy), folder=tmp_path / "out", seeds=0)


PROGRAM = "import sys; from inradius.cli import run; sys.exit(run(sys.argv[1:]))"


def started(*arguments, launch=()):
    """A process of the command line; of several that a launcher starts, one of them all."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *launch, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_processes_that_share_a_table_give_that_of_one(toy, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    asked = [tmp_path / "program.py", "reproduce", toy, "--device", "cpu", "--out"]
    reproduce(str(toy), folder=tmp_path / "one")
    two = [started(*asked, tmp_path / "two") for _ in range(2)]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for process in (*two, started(*asked, tmp_path / "launched", launch=launch)):
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    cells = {path.parent.name for path in (tmp_path / "one").glob("*/cell.json")}
    for name in ("two", "launched"):
        assert numbers(tmp_path / name) == numbers(tmp_path / "one")
        assert {path.parent.name for path in (tmp_path / name).glob("*/cell.json")} == cells
    again = started(*asked, tmp_path / "launched", "--fresh", launch=launch)
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert numbers(tmp_path / "launched") == numbers(tmp_path / "one")


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path):
    toy = write_toy(tmp_path, recipe=RECIPE.replace("epochs = 3", "epochs = 40"))
    (tmp_path / "program.py").write_text(PROGRAM)
    reproduce(str(toy), folder=tmp_path / "one")
    killed = started(tmp_path / "program.py", "reproduce", toy, "--device", "cpu", "--out", tmp_path / "two")
    while not list((tmp_path / "two").glob("*/cell.json")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(list((tmp_path / "two").glob("*/cell.json"))) < 4
    reproduce(str(toy), folder=tmp_path / "two")
    assert numbers(tmp_path / "two") == numbers(tmp_path / "one")


def test_the_random_numbers_of_the_caller_are_left_alone(toy, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    reproduce(str(toy), folder=tmp_path / "out", seeds=1, rows=["PGD"])
    assert torch.equal(torch.rand(3), expected)
    assert json.loads((tmp_path / "out" / JSON).read_text())["table"] == "toy"


NETWORK = """
[[columns]]
name = "time"
measure = "seconds"
of = ["robust"]

[[rows]]
name = "as it is"
recipe = "RECIPE"
train = false
with = { model = "mlp(64, 10)", defense = "standard" }
"""


def test_a_network_is_measured_as_it_is(tmp_path, trainings):
    table = TABLE.partition('[[columns]]\nname = "best"')[0].replace('weights = "last"\n', "") + NETWORK
    found = reproduce(str(write_toy(tmp_path, table)), folder=tmp_path / "out", seeds=1)
    (row,) = numbers(tmp_path / "out")
    assert trainings == []
    assert 0 <= row["numbers"]["clean"]["ours"]["mean"] <= 100
    assert row["numbers"]["time"]["ours"]["mean"] > 0
    assert found.differences() == {}
