"""The fixture ``bracket`` in a session of pytest of its own: it answers, keeps runs, and saves reports."""

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from cli_cases import write

import inradius

TEST = """
import inradius

def test_relative_files(bracket):
    data = inradius.make("npz:data.npz").take(5)
    transfer = "transfer(fgsm(), model='net.py:small')"
    report = bracket("net.py:small", data, "linf(eps=0.05)", attacks=transfer, certifiers=())
    assert report.folder.is_dir() and len(report.deltas) >= 0

def test_robust(bracket):
    report = bracket("net.py:small", "npz:data.npz", "linf(eps=0.05)", attacks="fgsm", certifiers="interval")
    assert 0 < report.lower <= report.upper

def test_model_in_python(bracket):
    model, data = inradius.load_model("net.py:small"), inradius.make("npz:data.npz").take(5)
    assert bracket(model, data, "linf(eps=0.0)", attacks="fgsm", certifiers="interval").lower > 2
"""


def session(folder, *options):
    """The output of pytest in the folder, with the fixture's plugin named once."""
    # where the plugin is installed pytest has it already
    named = ["-p", "inradius_pytest"] if not installed() else []
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:xdist", *named, *options, "test_it.py"],
        cwd=folder,
        env=os.environ | {"PYTEST_ADDOPTS": "", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def installed():
    # all distributions, as pytest goes through them, also those behind another of the same name
    points = (point for found in distributions() for point in found.entry_points)
    return any(point.group == "pytest11" and point.value == "inradius_pytest" for point in points)


@pytest.mark.slow  # two processes that import torch
def test_a_session(tmp_path):
    write(tmp_path)
    (tmp_path / "test_it.py").write_text(TEST)
    out = session(tmp_path, "--inradius-reports", "reports", "--junitxml", "out.xml")
    assert "1 failed, 2 passed" in out
    assert "robust accuracy &lt;=" in (tmp_path / "out.xml").read_text()
    reports = [inradius.Report.load(each) for each in sorted((tmp_path / "reports").iterdir())]
    assert sorted(len(report.examples) for report in reports) == [5, 5, 40]
    # the runs are kept, and a second session reads them
    kept = {file: file.stat().st_mtime_ns for file in Path(tmp_path / ".pytest_cache").rglob("*.npz")}
    runs = list((tmp_path / ".pytest_cache" / "d" / "inradius" / "inradius-runs").iterdir())
    assert len(runs) == 3
    assert "1 failed, 2 passed" in session(tmp_path)
    # the fixture answers without a cache too
    assert "1 failed, 2 passed" in session(tmp_path, "-p", "no:cacheprovider")
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert len(list(runs[0].parent.iterdir())) == 3


def test_pytest_starts_without_torch():
    code = "import sys, inradius_pytest; assert not {'torch', 'inradius'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
