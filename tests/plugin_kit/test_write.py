"""A new plugin of each kind is an installable distribution that keeps the laws, also once files are added to it."""

import importlib
import re
import sys
import tomllib
import warnings

import pytest
from cli_cases import complaint
from strangers import INRADIUS, OFFLINE, Environment

from inradius.cli import run
from inradius.components import hookspecs, registry
from inradius.plugin_kit import KINDS, write_plugin
from inradius.testing import plugin_cases
from inradius.testing.samplers import LAWS as SAMPLER_LAWS


@pytest.fixture
def installed(tmp_path, monkeypatch, host):
    """Writes a plugin and puts it on the path as an editable installation would; it is forgotten afterwards."""
    before = set(sys.modules)

    def add(name, *kinds):
        files = write_plugin(name, kinds, tmp_path / name)
        project = tomllib.loads((tmp_path / name / "pyproject.toml").read_text("utf-8"))["project"]
        info = tmp_path / f"{name}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n")
        entries = project["entry-points"]["inradius"].items()
        (info / "entry_points.txt").write_text("[inradius]\n" + "".join(f"{key} = {at}\n" for key, at in entries))
        with warnings.catch_warnings():
            # pytest asks pkg_resources, where it is loaded, to look at the new path
            warnings.simplefilter("ignore", DeprecationWarning)
            for folder in (tmp_path, tmp_path / name / "src"):
                monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        # writing looks at the names there are
        for cached in (host, registry.entries, registry.layer_rules):
            cached.cache_clear()
        return files

    yield add
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_there_is_a_template_for_each_hook_that_registers_components():
    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, "inradius_spec")}
    assert {kind.hook for kind in KINDS.values()} == hooks - {"law_cases"} == {*registry.KINDS, "layer_rules"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_keeps_the_laws_of_its_kind(installed, kind):
    installed("acme-new", kind)
    (case,) = plugin_cases("acme-new")
    assert case.problem is None
    # the whole runs of the other laws of samplers are left to the slow test
    for law in case.laws():
        if kind != "sampler" or law in SAMPLER_LAWS[:2]:
            case.check(law, examples=2)


def test_the_components_of_a_new_plugin_are_used_by_their_names(installed, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    installed("acme-two", "attack", "threat-models", "datasets", "model")
    assert run(["list", "attacks", "--short"]) == 0
    assert "acme_two_attack" in capsys.readouterr().out.split()
    data = ["--data", "acme_two_dataset(n=20)", "--model", "mlp(2, 2)", "--count", "10", "--out", "r"]
    asked = ["attack", *data, "--threat", "acme_two_threat_model(eps=0.1)", "--attack", "acme_two_attack"]
    assert run(asked) == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["Acme", "--kind", "attack"], "'Acme' is not a name for a plugin; allowed are small letters and digits"),
        (["acme-2", "--kind", "attack"], "'acme-2' is not a name for a plugin"),
        (["class", "--kind", "attack"], "'class' is a word of Python's"),
        (["torch", "--kind", "attack"], "a module 'torch' is installed already"),
        (["pgd", "--kind", "attack"], "'pgd' is the name of a component of inradius_gradient"),
        (["acme", "--kind", "atack"], "'atack' is not a kind of component; allowed are threat_model, attack"),
        (["acme"], "Missing option '--kind'"),
        (["acme", "--kind", "attack", "--folder", "full"], "'full' exists and is not an empty folder"),
        (["acme", "--kind", "attack", "--folder", "full/file"], "exists and is not an empty folder"),
    ],
)
def test_what_cannot_be_written_is_refused_in_a_sentence(tmp_path, monkeypatch, capsys, given, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    assert re.search(re.escape(said), complaint(capsys, "new-plugin", *given))
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@pytest.mark.slow  # each is installed by pip
@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_of_each_kind_is_installed_and_runs(tmp_path, kind):
    environment, place = Environment(tmp_path / "empty"), tmp_path / "acme-new"
    written = environment("-c", INRADIUS, f"new-plugin acme-new --kind {kind}", cwd=tmp_path)
    assert "acme-new/src/acme_new/__init__.py" in written
    environment.pip("install", *OFFLINE, "-e", str(place))
    told = environment("-c", INRADIUS, "plugins", "plugins --check acme-new", cwd=tmp_path)
    assert ["acme_new", "acme-new", "0.1.0", "acme_new", "ok"] in [line.split() for line in told.splitlines()]
    assert re.fullmatch(r"all \d+ laws hold", told.splitlines()[-1])
    # the same laws as tests
    assert " passed" in environment("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=place).splitlines()[-1]


@pytest.mark.slow  # it is installed by pip three times
def test_a_plugin_stays_installable_when_files_are_added(tmp_path):
    environment, place = Environment(tmp_path / "empty"), tmp_path / "acme-new"
    write_plugin("acme-new", ["attack", "objective"], place)
    environment.pip("install", *OFFLINE, "-e", str(place))
    for path in ("notes.py", "scripts/sweep.py", "data/points.csv", "other_package/__init__.py"):
        (place / path).parent.mkdir(exist_ok=True)
        (place / path).write_text("")
    (place / "src" / "acme_new" / "more.py").write_text("ANSWER = 42\n")
    environment.pip("install", *OFFLINE, "-e", str(place))
    assert environment("-c", "import acme_new.more; print(acme_new.more.ANSWER)").strip() == "42"
    environment.pip("uninstall", "--yes", "acme-new")
    environment.pip("install", *OFFLINE, str(place))
    assert "42" in environment("-c", "import acme_new.more; print(acme_new.more.ANSWER)")
    held = {path.parts[0] for path in environment.files()}
    assert not held & {"notes.py", "scripts", "data", "other_package", "tests"}
