"""The distribution says what it holds: entry points, packages, types, pins, licence and version."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

import inradius

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PINS = dict(
    re.fullmatch(r"([\w.-]+)==(\S+)", line).groups()
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements():
    """The names that the project and its extras ask for."""
    asked = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        asked += extra
    return {canonical(re.match(r"[\w.-]+", line)[0]) for line in asked} - {"inradius"}


def test_entry_points_are_those_of_the_installed_distribution():
    installed = {
        entry.name: entry.value for entry in distribution("inradius").entry_points if entry.group == "inradius"
    }
    written = PROJECT["project"]["entry-points"]["inradius"]
    assert installed == written, "entry points were edited after the installation; repeat `pip install -e .`"
    scripts = {e.name: e.value for e in distribution("inradius").entry_points if e.group == "console_scripts"}
    assert scripts == PROJECT["project"]["scripts"], (
        "scripts were edited after the installation; repeat `pip install -e .`"
    )


def test_the_version_is_one():
    assert PROJECT["project"]["dynamic"] == ["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert inradius.__version__ == version("inradius") == cited[1]


def test_every_first_party_package_is_in_the_wheel():
    found = {f"plugins/{path.name}" for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").exists()}
    assert set(PACKAGES) == {"toolkit/inradius", *found}


def test_every_plugin_has_an_entry_point():
    modules = {value.split(":")[0].split(".")[0] for value in PROJECT["project"]["entry-points"]["inradius"].values()}
    modules |= set(PROJECT["project"]["entry-points"]["pytest11"].values())
    assert modules == {Path(package).name for package in PACKAGES}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed_and_explains_itself(package):
    assert (ROOT / package / "py.typed").exists()
    assert (ROOT / package / "__init__.py").read_text(encoding="utf-8").startswith('"""')


def test_every_package_is_checked_by_mypy_and_import_linter():
    names = sorted(Path(package).name for package in PACKAGES)
    assert sorted(PROJECT["tool"]["mypy"]["packages"]) == names
    assert sorted(PROJECT["tool"]["importlinter"]["root_packages"]) == names
    assert PROJECT["tool"]["mypy"]["strict"] is True


def test_import_contracts_name_every_plugin():
    plugins = {Path(package).name for package in PACKAGES} - {"inradius"}
    contracts = {contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
    assert set(contracts["The core knows no plugin"]["forbidden_modules"]) == plugins
    assert set(contracts["Plugins know no other plugin"]["modules"]) == plugins
    assert any("inradius.testing" in contract.get("forbidden_modules", ()) for contract in contracts.values())
    assert any(
        "inradius.components.registry" in contract.get("forbidden_modules", ()) for contract in contracts.values()
    )
    assert all(contract["name"][0].isupper() and " " in contract["name"] for contract in contracts.values())


def test_every_requirement_has_a_tested_version():
    missing = requirements() - {canonical(name) for name in PINS}
    assert not missing, f"constraints.txt does not pin {', '.join(sorted(missing))}"


def test_the_pins_are_of_what_is_installed():
    # a local version such as 2.13.0+cpu is the same release
    wrong = {
        name: version(name) for name, pin in PINS.items() if _installed(name) and version(name).split("+")[0] != pin
    }
    assert not wrong, f"the environment is not the tested one: {wrong}; install with -c constraints.txt"


def test_torchvision_is_no_dependency():
    assert "torchvision" not in requirements()


def test_the_licence_is_there():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert any(path.name == "LICENSE" for path in distribution("inradius").files)


def test_the_notice_lists_every_file_of_weights_and_every_set_that_needs_no_file():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert "NOTICE" in PROJECT["project"]["license-files"]
    for file in (ROOT / "plugins").rglob("*.safetensors"):
        assert re.search(rf"^  {file.stem} +Trained by this project on .* Apache-2\.0\.$", notice, re.MULTILINE), (
            file.stem
        )
        assert file.with_suffix(".md").exists()
    for name in ("shapes", "mnist5k", "digits", "moons"):
        assert re.search(rf"^  [\w, ]*\b{name}\b", notice, re.MULTILINE), name
    # other data or weights that come with the packages are listed here first
    kinds = {path.suffix for root in ("toolkit", "plugins") for path in (ROOT / root).rglob("*.*") if path.is_file()}
    assert kinds - {".pyc"} <= {".py", ".pyi", ".typed", ".md", ".safetensors", ".toml", ".json", ".txt"}


def test_nothing_but_the_check_of_plugins_needs_the_law_kit():
    users = [
        path.relative_to(ROOT)
        for root in ("toolkit", "plugins")
        for path in (ROOT / root).rglob("*.py")
        if "testing" not in path.parts
        and re.search(r"^\s*(from|import) inradius\.testing", path.read_text("utf-8"), re.M)
    ]
    assert users == [Path("toolkit/inradius/cli/plugin_check.py")]


def test_the_wheel_holds_every_file_of_the_packages(tmp_path):
    source = tmp_path / "source"
    for part in ("toolkit", "plugins"):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    done = subprocess.run(command, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kept = {path for package in PACKAGES for path in (source / package).rglob("*") if path.is_file()}
    assert held == {str(path.relative_to(source).as_posix()).split("/", 1)[1] for path in kept}
    assert {f"{Path(package).name}/py.typed" for package in PACKAGES} <= held


def _installed(name):
    try:
        return bool(version(name))
    except ModuleNotFoundError:
        return False
