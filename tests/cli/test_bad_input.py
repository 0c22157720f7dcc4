"""Bad input ends with one sentence that says what was given and what is allowed, and never with a traceback."""

import copy
import os
import re

import numpy as np
import pytest
import torch
from cli_cases import change, complaint, data_of, sentence, write
from torch import nn

import inradius
from inradius.cli import run
from inradius.models.load import load_model

LINF = ["--threat", "linf(eps=0.05)"]
# the same data and model reach the checks through either side
EVALUATIONS = [("attack", "--attack", "fgsm"), ("certify", "--certifier", "interval"), ("bracket", "--audit", "0")]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path)


# specs


@pytest.mark.parametrize(
    ("option", "spec", "said"),
    [
        ("--threat", "lnif(eps=0.1)", "'lnif' is not a known name; did you mean linf"),
        ("--attack", "qqq", "'qqq' is not a known name; known here are .*fgsm"),
        ("--threat", "pgd(steps=3)", r"'pgd\(steps=3\)' makes an Attack, but a ThreatModel is needed here"),
        ("--attack", "linf(eps=1)", r"'linf\(eps=1\)' makes a ThreatModel, but an Attack is needed here"),
        ("--certifier", "fgsm", "'fgsm' makes an Attack, but a Certifier is needed here"),
        ("--model", "mnist5k", "'mnist5k' makes a Dataset, but a model is needed here"),
        ("--data", "mlp(6, 3)", r"'mlp\(6, 3\)' makes a model, but a Dataset is needed here"),
        ("--threat", "linf()", "linf: missing a required .*'eps'; the parameters are .*eps.*bounds"),
        ("--threat", "linf(eps=1, radius=1)", "linf: .*'radius'; the parameters are .*eps.*bounds"),
        ("--threat", "linf(eps=-0.1)", "linf: eps=-0.1 is not a radius; allowed is a finite number ≥ 0"),
        ("--threat", "linf(eps='a')", "linf: eps='a' is not a radius"),
        ("--threat", "linf(eps=1/0)", "divides by zero"),
        ("--threat", "linf(eps=0.1", "is not a spec; write name"),
        ("--threat", "linf(eps=0.1, bounds=(1, 0))", "is not a box; allowed is a pair"),
        ("--threat", "0.1", "is a value, not a component"),
        ("--threat", "linf(eps=__import__('os'))", "not a known name|not part of the spec language"),
        ("--attack", "pgd(steps=0)", "pgd: steps=0 is not allowed; allowed is an integer ≥ 1"),
        ("--attack", "pgd(objective=linf(eps=1))", "pgd: .*objective"),
    ],
)
def test_a_wrong_spec(asked, capsys, option, spec, said):
    given = change(asked, option, spec) if option in asked else [*asked, option, spec]
    assert re.search(said, complaint(capsys, "bracket", *given))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["describe", "pgdd"], "'pgdd' is not a known name; did you mean pgd"),
        (["list", "weapons"], "'weapons' is not a kind of thing; allowed are threat_models, attacks"),
        (["report", "absent"], "'absent' holds no readable report.json"),
        (["bracket", "--count", "-1"], "Invalid value for '--count'"),
        (["bracket", "--audit", "2"], "Invalid value for '--audit'"),
        (["bracket", "--seed", "x"], "Invalid value for '--seed'"),
        (["bracket", "--polish"], "No such option: --polish"),
        (["brakket"], "No such command 'brakket'"),
        (["train", "standard"], "Missing option '--out'"),
        (["train", "pgd", "--out", "x"], "'pgd' makes an Attack, but a Defense is needed here"),
        (["train", "standard", "--out", "x", "--threat", "linf"], "linf: missing a required"),
    ],
)
def test_a_wrong_command_line(asked, capsys, arguments, said):
    assert said in complaint(capsys, *arguments)


@pytest.mark.parametrize("command", ["bracket", "train"])
def test_an_unknown_device(asked, capsys, command):
    more = ["standard", "--out", "x"] if command == "train" else []
    said = complaint(capsys, command, *more, *asked, *LINF, "--device", "abacus")
    assert said.startswith("the device 'abacus' cannot be used here")


@pytest.mark.parametrize(("name", "value"), [("--optimizer", "adamant"), ("--schedule", "stairs"), ("--lr", "-1")])
def test_a_wrong_recipe(asked, capsys, name, value):
    command = ["train", "standard", *asked, *LINF, "--device", "cpu", "--out", "x", name, value]
    assert f"{name.removeprefix('--')}=" in complaint(capsys, *command)


# data


@pytest.mark.parametrize("command", EVALUATIONS)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": np.full((40, 6), 1.5)}, r"input 0 is in \[1.5, 1.5\], but linf\(eps=0.05\) allows \[0, 1\]"),
        ({"inputs": np.full((40, 6), -0.1)}, r"input 0 is in \[-0.1, -0.1\], but .* allows \[0, 1\]"),
        ({"inputs": np.full((40, 6), np.nan)}, "NaN"),
        ({"inputs": np.full((40, 6), np.inf)}, "infinite"),
        ({"labels": np.full(40, 3)}, "label 3 is out of range; the model has the classes 0 to 2"),
        ({"labels": np.full(40, -1)}, "label -1 is out of range"),
        ({"inputs": np.zeros((40, 5))}, r"the model fails on inputs of shape \(1, 5\) from npz"),
        ({"labels": np.zeros(39, dtype=int)}, "40 inputs and labels of shape .39,.; allowed is one label per input"),
        ({"inputs": np.zeros((0, 6)), "labels": np.zeros(0, dtype=int)}, "has no examples"),
    ],
)
def test_wrong_data(tmp_path, monkeypatch, capsys, command, changes, said):
    monkeypatch.chdir(tmp_path)
    assert re.search(said, complaint(capsys, *command, *write(tmp_path, **changes), *LINF))


def test_one_bad_pixel_far_behind_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    inputs = data_of(tmp_path)[0].numpy()
    inputs[37, 2] = np.nan
    assert "input 37 has NaN" in complaint(capsys, "bracket", *write(tmp_path, inputs=inputs), *LINF)


def test_missing_data(asked, capsys):
    assert complaint(capsys, "bracket", *change(asked, "--data", "npz:absent.npz")).startswith(
        "there is no file absent.npz"
    )


# models


@pytest.mark.parametrize("command", EVALUATIONS)
@pytest.mark.parametrize("name", ["never_finite", "not_always_finite"])
def test_logits_that_are_not_numbers(asked, tmp_path, capsys, command, name):
    given = change(asked, "--model", f"{tmp_path / 'net.py'}:{name}")
    if command[0] == "certify":
        # a network without layer rules is refused for that; the plain check comes first where the first image shows it
        said = complaint(capsys, *command, *given, *LINF)
        assert "NaN or infinite" in said or "Sometimes" in said
    else:
        assert "NaN or infinite; they must be finite" in complaint(capsys, *command, *given, *LINF)


@pytest.mark.parametrize("certifier", ["interval", "dual", "lp"])
def test_a_layer_without_a_rule(asked, tmp_path, capsys, certifier):
    given = change(asked, "--model", f"{tmp_path / 'net.py'}:hardshrink")
    said = complaint(capsys, "certify", *given, *LINF, "--certifier", certifier, "--count", "2")
    assert "uses hardshrink" in said
    assert "1.1" in said  # the layer's path in the model


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"1.weight": (8, 6), "1.bias": (8,), "3.weight": (3, 8)}, "lacks 3.bias"),
        (
            {"1.weight": (8, 6), "1.bias": (8,), "3.weight": (4, 8), "3.bias": (4,)},
            "3.weight of shape (4, 8) where (3, 8) is needed",
        ),
        ({"fc.weight": (3, 6)}, "lacks 1.weight, 1.bias, 3.weight and 1 more and has the unknown fc.weight"),
    ],
)
def test_weights_that_do_not_fit(asked, tmp_path, capsys, state, said):
    torch.save({name: torch.zeros(shape) for name, shape in state.items()}, tmp_path / "w.pt")
    assert said in complaint(capsys, "bracket", *asked, *LINF, "--weights", str(tmp_path / "w.pt"))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("absent.py:small", "there is no file absent.py"),
        ("net.py:absent", "net.py has no 'absent'; what can be called there is"),
        ("net.py:nn", "fails in nn(): TypeError"),
    ],
)
def test_a_model_file_that_gives_no_model(asked, capsys, model, said):
    assert said in complaint(capsys, "bracket", *change(asked, "--model", model), *LINF)


@pytest.mark.parametrize("attack", ["fgsm", "pgd(steps=3)", "frank_wolfe(steps=3)"])
def test_a_model_in_train_mode_is_attacked_in_eval_mode_and_restored(tmp_path, attack):
    write(tmp_path)
    x, y = data_of(tmp_path)
    model, threat = trained(tmp_path), inradius.make("linf(eps=0.05)", inradius.ThreatModel)
    found = inradius.make(attack, inradius.Attack)(model, x, y, threat)
    plain = inradius.make(attack, inradius.Attack)(copy.deepcopy(model).eval(), x, y, threat)
    assert torch.equal(found.delta, plain.delta)
    unchanged(model, tmp_path)


@pytest.mark.parametrize("certifier", ["interval", "dual", "lp"])
def test_a_model_in_train_mode_is_certified_in_eval_mode_and_restored(tmp_path, certifier):
    write(tmp_path)
    x, y = (part[:2] for part in data_of(tmp_path))
    model, threat = trained(tmp_path), inradius.make("linf(eps=0.05)", inradius.ThreatModel)
    found = inradius.make(certifier, inradius.Certifier)(model, x, y, threat)
    plain = inradius.make(certifier, inradius.Certifier)(copy.deepcopy(model).eval(), x, y, threat)
    assert torch.equal(found.lower, plain.lower)
    unchanged(model, tmp_path)


def test_a_model_in_train_mode_is_bracketed_in_eval_mode_and_restored(tmp_path, asked, capsys):
    data = inradius.make(asked[asked.index("--data") + 1], inradius.Dataset)
    model = trained(tmp_path)
    report = inradius.bracket(model, data, "linf(eps=0.05)", attacks="fgsm", certifiers="dual", folder=tmp_path / "a")
    unchanged(model, tmp_path)
    plain = inradius.bracket(
        model.eval(), data, "linf(eps=0.05)", attacks="fgsm", certifiers="dual", folder=tmp_path / "b"
    )
    assert report.examples == plain.examples
    given = change(asked, "--model", f"{tmp_path / 'net.py'}:normed")
    assert run(["bracket", *given, *LINF]) == 0
    assert capsys.readouterr().err == ""


def trained(folder):
    model = load_model(f"{folder / 'net.py'}:normed")
    with torch.no_grad():
        model[1].running_mean.uniform_(-0.1, 0.1)
    model.train()
    model[2].eval()  # modes are restored one by one
    return model


def unchanged(model, folder):
    assert [layer.training for layer in model] == [True, True, False, True]
    assert model[1].num_batches_tracked == 0
    assert (model[1].running_var == 1).all()
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert isinstance(model[1], nn.BatchNorm1d)


# folders


@pytest.mark.parametrize("command", [*EVALUATIONS, ("train", "standard", "--device", "cpu")])
def test_a_folder_below_a_file(asked, tmp_path, capsys, command):
    (tmp_path / "file").write_text("not a folder")
    said = complaint(capsys, *command, *asked, *LINF, "--out", str(tmp_path / "file" / "run"))
    assert str(tmp_path / "file" / "run") in said
    assert "cannot be written" in said


@pytest.mark.parametrize("command", [*EVALUATIONS, ("train", "standard", "--device", "cpu")])
def test_a_folder_that_is_a_file(asked, tmp_path, capsys, command):
    (tmp_path / "file").write_text("not a folder")
    assert "cannot be written" in complaint(capsys, *command, *asked, *LINF, "--out", str(tmp_path / "file"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_is_read_only(asked, tmp_path, capsys):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    assert "cannot be written" in complaint(capsys, "bracket", *asked, *LINF, "--out", str(locked / "run"))


def test_a_file_system_that_refuses(asked, tmp_path, capsys, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    assert "cannot be written (Permission denied)" in complaint(capsys, "bracket", *asked, *LINF, "--out", "run")


def test_a_folder_of_another_run(asked, tmp_path, capsys):
    assert run(["attack", *asked, *LINF, "--out", "run"]) == 0
    capsys.readouterr()
    said = complaint(capsys, "attack", *asked, "--threat", "linf(eps=0.06)", "--out", "run")
    assert "holds another run" in said
    assert run(["attack", *asked, "--threat", "linf(eps=0.06)", "--out", "run", "--fresh"]) == 0


# plugins

TINT = """
from inradius import hookimpl
from torch import nn

def tinted():
    return nn.Linear(6, 3)

@hookimpl
def models():
    return {"tinted": tinted}
"""


def refused(capsys, *arguments):
    """The warnings and the sentence of a command that fails."""
    assert run(list(arguments)) == 2
    *warned, error = capsys.readouterr().err.splitlines()
    return warned, sentence(error)


@pytest.mark.filterwarnings("default::inradius.PluginWarning")
def test_a_plugin_that_fails_to_import_is_named_and_the_rest_goes_on(asked, capsys, install):
    install("acme-tint", "1.2", "import no_such_package\n" + TINT)
    assert run(["attack", *asked, *LINF]) == 0
    (warning,) = capsys.readouterr().err.splitlines()
    reason = "ModuleNotFoundError: No module named 'no_such_package'"
    assert warning == f"warning: the plugin 'acme-tint' of acme-tint 1.2 failed to load and is left out: {reason}"


@pytest.mark.filterwarnings("default::inradius.PluginWarning")
def test_a_name_of_a_plugin_that_failed_is_explained(asked, capsys, install):
    install("acme-tint", "1.2", "import no_such_package\n" + TINT)
    (warning,), said = refused(capsys, "attack", *change(asked, "--model", "tinted"), *LINF)
    assert warning.startswith("warning: the plugin 'acme-tint' of acme-tint 1.2 failed to load and is left out")
    assert said.startswith("'tinted' is not a known name")
    assert "'acme-tint' of acme-tint 1.2 (ModuleNotFoundError: No module named 'no_such_package')" in said


def test_a_plugin_that_is_whole_needs_no_word(asked, capsys, install):
    install("acme-tint", "1.2", TINT)
    assert run(["attack", *change(asked, "--model", "tinted"), *LINF]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.filterwarnings("default::inradius.PluginWarning")
def test_two_plugins_with_one_name_are_both_named(capsys, install):
    install("acme-tint", "1.2", TINT)
    install("other-tint", "3.4", TINT)
    assert run(["list"]) == 0
    (said,) = capsys.readouterr().err.splitlines()
    assert "two plugins bring the name 'tinted'" in said
    assert "acme-tint 1.2" in said
    assert "other-tint 3.4" in said


def test_a_hook_that_does_not_exist_is_named(capsys, install):
    install("acme-tint", "1.2", TINT.replace("def models", "def modells"))
    said = complaint(capsys, "list")
    assert "'acme-tint' implements a hook that does not exist" in said
    assert "modells" in said


def test_a_blocked_plugin_is_remembered(asked, capsys, host, monkeypatch):
    monkeypatch.setenv("INRADIUS_DISABLE_PLUGINS", "lp")
    said = complaint(capsys, "attack", *asked, *LINF)
    assert said.startswith("'linf' is not a known name")
    assert "'lp' of inradius" in said
