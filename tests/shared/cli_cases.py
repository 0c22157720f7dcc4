"""A small network and its data in files, as a user of the command line has them, and plugins in folders."""

import os
import subprocess
import sys

import numpy as np
import torch

from inradius.cli import run

NETWORK = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():  # the first three inputs vote for their class
        model[1].weight.mul_(0.1)[:3, :3] += torch.eye(3)
        model[3].weight.mul_(0.1)[:3, :3] += torch.eye(3)
    return model

def normed():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).train()

def hardshrink():
    return nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(6, 8), nn.Hardshrink()), nn.Linear(8, 3))

class Sometimes(nn.Module):
    def __init__(self, bad):
        super().__init__()
        self.inner, self.bad = small(), bad

    def forward(self, x):
        logits = self.inner(x)
        return torch.where(self.bad(x), torch.nan, logits)

def never_finite():
    return Sometimes(lambda x: torch.ones(len(x), 1, dtype=torch.bool))

def not_always_finite():
    return Sometimes(lambda x: x[:, 5:] > 0.9)
"""


def write(folder, **changes):
    """A network and 40 examples of three classes in a folder; ``changes`` replace arrays of the data."""
    (folder / "net.py").write_text(NETWORK)
    numbers = np.random.default_rng(0)
    labels = np.arange(40) % 3
    inputs = 0.3 * numbers.random((40, 6), dtype=np.float32)
    inputs[:, 5] = np.linspace(0, 1, 40)
    inputs[np.arange(40), labels] += np.linspace(0.0, 0.7, 40, dtype=np.float32)
    np.savez(folder / "data.npz", **({"inputs": inputs, "labels": labels} | changes))
    return ["--model", f"{folder / 'net.py'}:small", "--data", f"npz:{folder / 'data.npz'}"]


def change(options, name, value):
    """The options with the value of one of them replaced."""
    place = options.index(name) + 1
    return [*options[:place], value, *options[place + 1 :]]


def data_of(folder):
    """The examples that ``write`` wrote."""
    with np.load(folder / "data.npz") as arrays:
        return torch.tensor(arrays["inputs"]), torch.tensor(arrays["labels"])


def complaint(capsys, *arguments):
    """The one sentence on stderr with which a command refuses; it must end with the code 2."""
    code = run(list(arguments))
    printed = capsys.readouterr()
    assert code == 2, printed.out
    return sentence(printed.err)


def sentence(stderr):
    """The sentence of an error, after a look that nothing else was said."""
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: ")
    assert "Traceback" not in stderr
    return lines[0].removeprefix("error: ")


def distribution(folder, name, code, *, version="1.2", point=None):
    """A distribution in a folder whose one plugin is a module with this code, as if it were installed there."""
    module = f"{name}_module"
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[inradius]\n{point or name} = {module}\n")


def program(folder, *arguments, **environment):
    """The program in a process of its own, which finds the distributions in the folder."""
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", "from inradius.cli import main; main()", *arguments],
        env=os.environ | {"PYTHONPATH": path} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
