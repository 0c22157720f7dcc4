"""The options of a bracket: one value, checked, with the same defaults in Python and on the command line."""

import inspect
import json

import attrs
import pytest
import typer
from bracket_toys import Corner, Cube, Exact
from cli_cases import write

import inradius
from inradius.bracketing.options import DEFAULTS, BracketOptions
from inradius.cli import run
from inradius.cli.app import app
from inradius.components.component import Component

FIELDS = {field.name: getattr(DEFAULTS, field.name) for field in attrs.fields(BracketOptions)}
# the options of the command line that have another name in Python
NAMES = {"attack": "attacks", "certifier": "certifiers", "out": "folder"}


def test_the_keywords_of_bracket_are_the_options_with_their_defaults():
    parameters = inspect.signature(inradius.bracket).parameters
    keywords = {name: p.default for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert keywords == FIELDS


def test_the_command_has_the_same_defaults():
    command = typer.main.get_command(app).commands["bracket"]
    shared = {NAMES.get(p.name, p.name): p for p in command.params}
    shared = {name: p for name, p in shared.items() if name in FIELDS}
    # what a script decides by itself: the name of the model, and bars
    assert set(FIELDS) - set(shared) == {"model_name", "progress"}
    # a component has a spec on the command line
    told = {name: str(value) if isinstance(value, Component) else value for name, value in FIELDS.items()}
    assert {name: p.default for name, p in shared.items()} == {name: told[name] for name in shared}


def test_python_without_methods_is_the_command_without_methods(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = write(tmp_path)
    assert run(["bracket", *given, "--count", "8", "--threat", "linf(eps=0.05)", "--out", "command"]) == 0
    model, data = inradius.load_model(given[1]), inradius.make(f"npz('{tmp_path / 'data.npz'}')").take(8)
    report = inradius.bracket(model, data, "linf(eps=0.05)", folder="python")
    command = json.loads((tmp_path / "command" / "report.json").read_text())
    assert report.setting.key == command["setting"]["key"]
    assert report.setting.attacks
    assert report.setting.certifiers
    assert report.examples == inradius.Report.load(tmp_path / "command").examples


def test_missing_methods_are_those_of_the_set_and_an_empty_list_is_none():
    threat = inradius.make("linf(eps=0.1)", inradius.ThreatModel)
    found = BracketOptions().for_threat(threat)
    assert [str(attack) for attack in found.attacks] == [str(inradius.make(spec)) for spec in threat.default_attacks]
    assert [str(one) for one in found.certifiers] == [str(inradius.make(spec)) for spec in threat.default_certifiers]
    found = BracketOptions(attacks=[], certifiers=()).for_threat(threat)
    assert found.attacks == found.certifiers == ()


def test_options_are_values():
    options = BracketOptions(attacks=Corner(), certifiers=[Exact()], folder="runs")
    assert options == BracketOptions(attacks=[Corner()], certifiers=Exact(), folder="runs")
    assert hash(options) == hash(BracketOptions(attacks=(Corner(),), certifiers=(Exact(),), folder="runs"))
    assert options.for_threat(Cube(eps=0.1)) == options
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        options.audit = 0.5
