"""Importing inradius loads no plugin and no optional library, and takes less than a second beside torch."""

import json
import subprocess
import sys

import pytest

# one process does one step after the other, and prints what is loaded after each
CODE = """
import json, sys, time
import torch
start = time.process_time()
import inradius
seconds = time.process_time() - start
loaded = {"import": sorted(sys.modules)}
import inradius.attacks.ascent, inradius.sets.box
assert not hasattr(inradius.attacks, "no_such_module")
loaded["names"] = sorted(sys.modules)
from inradius.processes import Processes
Processes(None, torch.device("cpu"))
loaded["process"] = sorted(sys.modules)
inradius.make("margin()")
loaded["make"] = sorted(sys.modules)
print(json.dumps([seconds, loaded]))
"""
OPTIONAL = {"accelerate", "cvxpy", "hypothesis", "matplotlib", "mlxtend", "pandas", "pytest", "sklearn"}
# parts of required libraries that are slow to import
SLOW = {"scipy.stats", "rich.progress"}


def fresh():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found():
    """The seconds of the import, and the modules that are loaded after each step."""
    return fresh()


def plugins(modules):
    return [name for name in modules if name.startswith("inradius_")]


def test_importing_inradius_loads_no_plugin_and_no_optional_library(found):
    assert not plugins(found[1]["import"])
    assert not (OPTIONAL | SLOW) & set(found[1]["import"])


def test_no_plugin_is_loaded_for_names_that_are_no_classes(found):
    assert not plugins(found[1]["names"])


def test_a_process_on_its_own_does_not_import_accelerate(found):
    assert "accelerate" not in found[1]["process"]


def test_plugins_load_on_first_use(found):
    assert "inradius_lp" in found[1]["make"]


def test_importing_inradius_adds_less_than_a_second_to_torch(found):
    # processor time, and up to three tries, since other work on the machine is not inradius's
    assert found[0] < 1 or any(fresh()[0] < 1 for _ in range(2))
