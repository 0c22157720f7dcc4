"""What scripts and CI ask of the command line: JSON, silence, exit codes, names alone, the version."""

import json
import subprocess
import sys

import pytest
from cli_cases import complaint, write

import inradius
from inradius.cli import run


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return [*write(tmp_path), "--threat", "linf(eps=0.05)", "--count", "10"]


METHODS = {
    "attack": ["--attack", "fgsm"],
    "certify": ["--certifier", "interval"],
    "bracket": ["--attack", "fgsm", "--certifier", "interval"],
}


@pytest.mark.parametrize("command", METHODS)
def test_json_is_the_report_and_nothing_else(asked, capsys, command):
    assert run([command, *asked, *METHODS[command], "--json", "-", "--out", "r"]) == 0
    found, report = json.loads(capsys.readouterr().out), inradius.Report.load("r")
    assert (found["lower"], found["upper"], len(found["table"])) == (report.lower, report.upper, 10)
    assert run([command, *asked, *METHODS[command], "--json", "r.json", "--out", "r", "--quiet"]) == 0
    assert not capsys.readouterr().out
    with open("r.json", encoding="utf-8") as file:
        assert json.load(file)["upper"] == report.upper


@pytest.mark.parametrize("command", METHODS)
@pytest.mark.parametrize("silent", [[], ["--quiet"], ["--json", "-"]])
def test_a_line_comes_before_methods_the_model_or_the_data_are_looked_at(capsys, monkeypatch, command, silent):
    said = []

    def looked(**_):
        said.append(capsys.readouterr().out)
        raise inradius.InputError("this is far enough")

    monkeypatch.setattr(f"inradius.cli.{command}.BracketOptions", looked)
    assert run([command, "--model", "net.py:net", "--data", "npz:data.npz", *silent]) == 2
    assert said == ["" if silent else "reading net.py:net and npz:data.npz\n"]


def test_either_accuracy_can_be_demanded(asked, capsys):
    ask = ["bracket", *asked, *METHODS["bracket"], "--out", "r"]
    assert run(ask) == 0
    report = inradius.Report.load("r")
    assert 0 < report.upper < 1
    assert run([*ask, "--quiet", "--fail-under-attacked", str(report.upper), "--fail-under", str(report.lower)]) == 0
    capsys.readouterr()
    assert run([*ask, "--quiet", "--fail-under-attacked", str(report.upper + 0.05)]) == 1
    assert f"the accuracy under attack {report.upper:.4g} is below" in capsys.readouterr().out
    assert run([*ask, "--json", "-", "--fail-under", "1"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)
    assert "which --fail-under asks for" in printed.err
    assert "--fail-under-attacked" in complaint(capsys, *ask, "--fail-under-attacked", "2")


def test_names_alone_and_filtered(capsys):
    assert run(["list", "attacks", "--short"]) == 0
    names = capsys.readouterr().out.split()
    assert {"pgd", "fgsm"} <= set(names)
    assert run(["list", "attacks", "--filter", "PGD", "--short"]) == 0
    found = capsys.readouterr().out.split()
    assert "pgd" in found
    assert set(found) < set(names)
    assert run(["list", "--filter", "no such word at all"]) == 0
    assert not capsys.readouterr().out


def test_a_layer_rule_is_described(capsys):
    assert run(["describe", "Conv2d"]) == 0
    assert "one of the layer rules, from inradius_bounds" in capsys.readouterr().out
    assert "'Conv9d' is not a known name" in complaint(capsys, "describe", "Conv9d")


def test_the_version_and_the_module(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == inradius.__version__
    done = subprocess.run([sys.executable, "-m", "inradius", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == inradius.__version__


def test_a_folder_is_no_file_for_json(asked, capsys):
    said = complaint(capsys, "attack", *asked, *METHODS["attack"], "--json", ".")
    assert "--json . is a folder; give the name of a file" in said
