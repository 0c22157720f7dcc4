"""``inradius detect``: no adversarial input passes, and scripts can read what is flagged."""

import csv
import json

import pytest
import torch
from cli_cases import complaint, data_of, write

import inradius
from inradius.cli import run
from inradius.models.load import load_model


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path)


def test_no_adversarial_input_passes_and_honest_ones_do(place, capsys, tmp_path):
    model, (x, _) = load_model("net.py:small"), data_of(tmp_path)
    threat, clean = inradius.make("linf(eps=0.05)", inradius.ThreatModel), model(x).argmax(1)
    found = inradius.make("pgd(steps=20)", inradius.Attack)(model, x, clean, threat)
    assert bool(found.success.any())
    write(tmp_path, inputs=(x + found.delta).numpy())
    ask = ["detect", *place, "--count", "0", "--threat", str(threat), "--certifier", "crown", "--batch-size", "7"]
    assert run([*ask, "--json", "-", "--out", "flags.csv"]) == 0
    told = json.loads(capsys.readouterr().out)
    flagged = torch.tensor([each["flagged"] for each in told["inputs"]])
    assert bool(flagged[found.success].all())
    assert told["flagged"] == int(flagged.sum()) < len(x)
    moved = model(x + found.delta).argmax(1)
    assert [each["predicted"] for each in told["inputs"]] == moved.tolist()
    with open("flags.csv", encoding="utf-8", newline="") as file:
        assert [int(row["flagged"]) for row in csv.DictReader(file)] == flagged.int().tolist()
    suspicious = inradius.suspicious(model, x + found.delta, threat, inradius.make("crown", inradius.Certifier))
    assert flagged.equal(suspicious)


def test_the_flagged_are_counted_and_a_share_can_be_an_alarm(place, capsys):
    ask = ["detect", *place, "--count", "10", "--threat", "linf(eps=0.3)", "--certifier", "interval"]
    assert run(ask) == 0
    printed = capsys.readouterr().out
    assert "flagged  10 of 10" in printed
    assert "passed   0 of 10" in printed
    assert run([*ask, "--quiet", "--fail-over", "1"]) == 0
    assert not capsys.readouterr().out
    assert run([*ask, "--quiet", "--fail-over", "0.9"]) == 1
    assert "--fail-over" in capsys.readouterr().out


def test_a_proof_at_a_weaker_level_is_told(place, capsys):
    ask = [
        "detect",
        "--model",
        "net.py:soft",
        *place[2:],
        "--count",
        "5",
        "--threat",
        "linf(eps=0.001)",
        "--certifier",
        "crown",
    ]
    with open("net.py", "a", encoding="utf-8") as file:
        file.write("\ndef soft():\n    return nn.Sequential(small(), nn.GELU())\n")
    assert run(ask) == 0
    assert "more examples are certified at level real" in capsys.readouterr().out
    assert run([*ask, "--claim", "real"]) == 0
    assert "certified at level real" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--certifier", "pgd"], "a Certifier is needed"),
        (["--certifier", "interval", "--threat", "box(lo=0, hi=0.1)"], "is not symmetric"),
        (["--fail-over", "2"], "--fail-over"),
        (["--data", "npz:none.npz"], "none.npz"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(place, capsys, options, said):
    assert said in complaint(capsys, "detect", *place, *options)
