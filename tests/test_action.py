"""The action for GitHub passes on what it is given, and the ready workflow asks for what there is."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from inradius.cli.app import COMMANDS

yaml = pytest.importorskip("yaml", reason="the action is read with the extra docs")
ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / "docs" / "examples" / "workflow" / "robustness.yml"


def action():
    return yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))


def given():
    """The inputs of the ready workflow."""
    job = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["bracket"]
    return next(step["with"] for step in job["steps"] if "inradius" in step["uses"])


@pytest.fixture
def done(tmp_path):
    """The words that each program was called with, step by step, where programs write down their words and fail as told."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("steps of the action are scripts of bash")
    log = tmp_path / "log"
    for program in ("pip", "inradius"):
        script = tmp_path / program
        script.write_text(
            f'#!{bash}\nprintf "%s\\n" {program} "$@" >> "{log}"\necho -- >> "{log}"\nexit "${{CODE:-0}}"\n'
        )
        script.chmod(0o755)

    def call(inputs, code=0):
        log.write_text("")
        whole = {name: entry.get("default", "") for name, entry in action()["inputs"].items()} | inputs
        codes = []
        for step in action()["runs"]["steps"]:
            if "run" in step:
                filled = {name: fill(value, whole) for name, value in step["env"].items()}
                environment = os.environ | filled | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CODE": str(code)}
                # as GitHub calls it
                made = subprocess.run([bash, "-eo", "pipefail", "-c", step["run"]], env=environment, check=False)
                codes.append(made.returncode)
        calls = [call.splitlines() for call in log.read_text().split("--\n") if call]
        return codes, calls

    return call


def fill(value, inputs):
    text = re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: str(inputs[found[1]]), value)
    return text.replace("${{ github.action_path }}", "/action")


def test_every_input_is_used_and_every_used_one_is_there():
    text = (ROOT / "action.yml").read_text("utf-8")
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(action()["inputs"])
    assert set(given()) <= set(action()["inputs"])


def test_the_steps_pass_on_each_line_as_one_word(done):
    lines = "--threat=linf(eps=4/255)\n--model=a file.py:network\n\n--attack=pgd(steps=3, objective='x')\n"
    codes, (installed, asked, shown) = done({"arguments": lines, "evidence": "certified=0.6\n", "wheels": "somewhere"})
    assert set(codes) == {0}
    assert installed == [
        *("pip", "install", "-c", "/action/constraints.txt", "-c", "/action/constraints-cpu.txt", "/action[demo]")
    ]
    assert asked == ["inradius", "bracket", *(line for line in lines.splitlines() if line), "--out=inradius-report"]
    assert shown == ["inradius", "evidence", "inradius-report", "--declare=certified=0.6"]
    _, calls = done({"arguments": "--count=3", "command": "detect", "extras": ""})
    assert calls[0][-1] == "/action"
    assert calls[1] == ["inradius", "detect", "--count=3"]


def test_the_outcome_of_the_command_is_that_of_the_step(done):
    codes, _ = done({"arguments": "--count=3"}, code=1)
    assert codes[1] == 1


def test_the_workflow_asks_for_options_that_there_are():
    import inspect

    names = {name.replace("_", "-") for name in inspect.signature(COMMANDS["bracket"]).parameters}
    options = [line.partition("=")[0].removeprefix("--") for line in given()["arguments"].split()]
    assert set(options) <= names


def test_the_constraint_for_cpus_is_the_tested_version():
    pins = [line for line in (ROOT / "constraints-cpu.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert [pin.removesuffix("+cpu") for pin in pins] == [
        line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line.startswith("torch==")
    ]
    assert all(pin.endswith("+cpu") for pin in pins)


def test_no_file_names_the_host_of_a_registry():
    """Where packages come from is for pip's settings to say."""
    hosts = re.compile("|".join([r"pypi\.or" + "g", r"download\.pytorch\.or" + "g", r"pythonhosted\.or" + "g"]))
    text = (".md", ".py", ".yml", ".toml", ".sh", ".txt")
    folders = (ROOT / name for name in ("docs", "tests", "toolkit", "plugins", "benchmarks", ".ci", ".github"))
    files = [*(path for folder in folders for path in folder.rglob("*")), *ROOT.glob("*.*")]
    kept = [path for path in files if path.suffix in text and path.is_file()]
    assert [path for path in kept if hosts.search(path.read_text("utf-8"))] == []
