"""The source has no circles of modules, a layer for each module of the core, short files, and tests that mirror its folders."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE, PLUGINS, TESTS = ROOT / "toolkit" / "inradius", ROOT / "plugins", ROOT / "tests"
PACKAGES = [CORE, *sorted(folder for folder in PLUGINS.iterdir() if (folder / "__init__.py").exists())]
LAYERS = "The core is layered"
LONGEST_FILE, LONGEST_FUNCTION = 300, 60


def name_of(file, above):
    """The dotted name of a module's file below a folder."""
    parts = file.relative_to(above).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def files():
    """The file of each module, by the module's name."""
    return {name_of(file, package.parent): file for package in PACKAGES for file in package.rglob("*.py")}


def imported(tree):
    """The names that a module imports anywhere, for typing and within functions included: of modules, or of things in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def tree_of(file):
    return ast.parse(file.read_text("utf-8"))


@cache
def imports():
    """The first-party modules that each module imports."""
    known = files()
    found = {}
    for module, file in known.items():
        names = imported(tree_of(file))
        targets = {name if name in known else name.rpartition(".")[0] for name in names}
        found[module] = (targets & known.keys()) - {module}
    return found


def reached(module):
    """The modules that a module imports, directly or through others."""
    found, todo = set(), [module]
    while todo:
        new = imports()[todo.pop()] - found
        found |= new
        todo += new
    return found


@cache
def circles():
    """The largest sets of modules of which each imports all others, directly or through others."""
    below = {module: reached(module) for module in files()}
    return {
        frozenset(other for other in below[module] if module in below[other])
        for module in files()
        if module in below[module]
    }


@pytest.mark.parametrize("package", [package.name for package in PACKAGES])
def test_no_modules_import_each_other_in_a_circle(package):
    found = [sorted(circle) for circle in circles() if any(module.split(".")[0] == package for module in circle)]
    assert not found, f"{len(found)} circles of {[len(circle) for circle in found]} modules: {found}"


def test_a_circle_is_found(monkeypatch):
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    monkeypatch.setitem(globals(), "imports", lambda: graph)
    monkeypatch.setitem(globals(), "files", lambda: graph)
    assert circles.__wrapped__() == {frozenset("abc"), frozenset("de")}


def layered():
    """The modules that the contract of layers names."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["name"].startswith(LAYERS))
    return [entry.strip() for line in contract["layers"] for entry in line.replace("|", ":").split(":")]


def within(module, package):
    return module == package or module.startswith(f"{package}.")


def test_every_module_of_the_core_has_a_layer():
    named, core = layered(), [module for module in files() if within(module, CORE.name)]
    outside = [module for module in core if not any(within(module, entry) for entry in named)]
    # a package whose modules are named one by one, and the front of the core, hold nothing that could stand in a layer of its own
    folders = [module for module in outside if any(within(entry, module) for entry in named)]
    assert sorted(set(outside) - set(folders)) == [], "name these in the layers of pyproject.toml"
    for module in set(folders) - {CORE.name}:
        assert not imports()[module], f"{module} is no layer, and imports {imports()[module]}"


def test_layers_name_each_module_once_and_none_that_is_gone():
    named = layered()
    assert [entry for entry in named if entry not in files()] == []
    assert len(named) == len(set(named))
    overlaps = [(one, other) for one in named for other in named if one != other and within(one, other)]
    assert overlaps == []


def sources():
    """The files of the core and the plugins, by their paths."""
    return {file.relative_to(ROOT).as_posix(): file for file in files().values()}


def test_files_are_short():
    found = {path for path, file in sources().items() if len(file.read_text("utf-8").splitlines()) > LONGEST_FILE}
    assert found == set(), f"more than {LONGEST_FILE} lines"


def test_functions_are_short():
    found = {
        f"{path}: {node.name}"
        for path, file in sources().items()
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    }
    assert found == set(), f"more than {LONGEST_FUNCTION} lines"


def test_numbers_that_become_infinite_leave_infinite_ones_infinite():
    """``nan_to_num`` makes finite numbers of infinite ones unless it is told not to, and a bound of −∞ a claim."""
    for path, file in sources().items():
        for call in ast.walk(tree_of(file)):
            if not isinstance(call, ast.Call) or not getattr(call.func, "attr", "").startswith("nan_to_num"):
                continue
            given = {word.arg: ast.unparse(word.value) for word in call.keywords}
            if "inf" in given.get("nan", ""):
                side = "neginf" if given["nan"].startswith("-") else "posinf"
                assert "inf" in given.get(side, ""), f"{path}:{call.lineno} has no {side}"


def test_folders_of_tests_are_those_of_the_tree():
    ours = {folder.relative_to(TESTS).as_posix() for folder in TESTS.rglob("*") if any(folder.glob("test_*.py"))}
    core = {folder.relative_to(CORE).as_posix() for folder in CORE.rglob("*") if any(folder.glob("*.py"))}
    plugins = {f"plugins/{package.name.removeprefix('inradius_')}" for package in PACKAGES[1:]}
    assert ours - core - plugins == set(), "tests stand in a folder named as the one that they test"
    assert plugins - ours == set(), "every plugin has tests"


def test_no_test_module_imports_another():
    """What several tests need is in tests/shared."""
    for file in TESTS.rglob("*.py"):
        names = {part for name in imported(tree_of(file)) for part in name.split(".")}
        assert not {name for name in names if name.startswith("test_")}, file
