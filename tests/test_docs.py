"""The documentation: every block of code runs, and what it says of hooks, sources and commands is so.

Blocks fenced as ``python`` run in order, in one namespace a page, in a folder of their own. Those with a title are files
and are written there; a ``pyproject.toml`` is installed. Blocks fenced as ``console`` run their ``$ inradius`` lines and
compare what is printed, and so does a ``text`` block right behind a ``python`` one: ``...`` stands for anything, and any
number for any other, since those differ between machines. Blocks fenced as ``sh`` are for reading only.
"""

import ast
import doctest
import importlib
import inspect
import re
import shlex
import sys
import tomllib
import warnings
from pathlib import Path

import attrs
import pytest
import torch

import inradius
from inradius.cli import run
from inradius.components import hookspecs, registry
from inradius.components.plugins import installed

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "examples" not in page.parts)]
HOOKS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "inradius_spec")}
# pages whose code takes many seconds
LONG = (
    "robust-training",
    "beyond-lp",
    "adversarial",
    "blackbox",
    "distance",
    "gradient",
    "combinators",
    "first-bracket",
    "complete-verification",
    "from-attack-libraries",
    "universal-and-transforms",
    "choose-a-defense",
    "from-training-libraries",
)
KEY = re.compile(r"\b[a-z]+(?:19|20)\d\d[a-z]*\b")
# the README's two commands, as people are told to type them
DEMO = 'pip install -c constraints.txt -e ".[demo]" && inradius bracket'
DEV = 'pip install -c constraints.txt -e ".[dev]"  && pytest'


@attrs.frozen
class Block:
    """A fenced block: its language, its title, its text, the line it starts at, and what it should print, if it says so."""

    language: str
    title: str
    text: str
    line: int
    output: str | None


def blocks(page):
    fence = re.compile(
        r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?', re.MULTILINE | re.DOTALL
    )
    source = page.read_text("utf-8")
    for found in fence.finditer(source):
        line = source.count("\n", 0, found.start(3)) + 1
        yield Block(found[1], found[2] or "", found[3], line, found[4])


def runnable(page):
    return any(block.language in ("python", "console") for block in blocks(page))


@pytest.fixture
def folder(tmp_path, monkeypatch, host):
    """An empty folder to work in, from which modules can be imported; they are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        # pytest asks pkg_resources, where it is loaded, to look at the new path
        warnings.simplefilter("ignore", DeprecationWarning)
        monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def name_of(page):
    return str(page.relative_to(ROOT))


def running():
    """The pages with code; those that train and certify for long are for ``-m slow``."""
    pages = [page for page in PAGES if runnable(page)]
    return [pytest.param(page, marks=pytest.mark.slow if page.stem in LONG else ()) for page in pages]


@pytest.mark.parametrize("page", running(), ids=name_of)
def test_the_blocks_of_a_page_run(page, folder, host, capsys):
    namespace = {"__name__": "page"}
    for block in blocks(page):
        if block.title:
            write(folder, block, host)
        elif block.language == "python":
            # padded, so that a traceback shows the line of the page
            capsys.readouterr()
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)
            compare(block.output, capsys.readouterr().out, f"the block in line {block.line}")
        elif block.language == "console":
            converse(block, capsys)


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in LONG], ids=name_of)
def test_the_blocks_of_a_long_page_are_code_and_import_what_there_is(page):
    for block in blocks(page):
        if block.language == "python" and not block.title:
            tree = ast.parse(block.text, str(page))
            imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(imports, []), str(page), "exec"), {})


def write(folder, block, host):
    path = folder / block.title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)
    importlib.invalidate_caches()
    if block.title == "pyproject.toml":
        install(folder, tomllib.loads(block.text)["project"], host)


def install(folder, project, host):
    """Makes the folder look as an editable install of the project does."""
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = project["entry-points"]["inradius"].items()
    (info / "entry_points.txt").write_text("[inradius]\n" + "".join(f"{name} = {value}\n" for name, value in entries))
    for cached in (host, registry.entries, registry.layer_rules):
        cached.cache_clear()


def converse(block, capsys):
    code = 0
    for exchange in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, wanted = exchange.partition("\n")
        if command == "echo $?":
            assert wanted.strip() == str(code), f"line {block.line}: the exit code is {code}"
            code = 0
            continue
        assert code == 0, f"line {block.line}: a command before {command!r} ended with {code}"
        program, *arguments = shlex.split(command)
        assert program == "inradius", f"line {block.line}: only inradius can be run here, not {program}"
        capsys.readouterr()
        code = run(arguments)
        compare(wanted, "".join(capsys.readouterr()), command)
    assert code == 0, f"line {block.line}: the last command ended with {code}"


def compare(wanted, printed, what):
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    alike = [re.sub(r"\d+(?:\.\d+)?", "0", text) for text in (wanted or "...", printed)]
    assert doctest.OutputChecker().check_output(*alike, options), f"{what} prints\n{printed}"


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_heading_with_its_signature(name):
    signature = str(inspect.signature(HOOKS[name])).replace("'", "")
    assert f"\n## `{name}{signature}` {{#{name}}}\n" in (DOCS / "reference" / "hooks.md").read_text("utf-8")


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_test(name):
    tests = (path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert any(re.search(rf"^def test_hook_{name}\(", text, re.MULTILINE) for text in tests)


def test_every_hook_has_documentation():
    assert all(inspect.getdoc(spec) for spec in HOOKS.values())


def sources():
    return [path for top in ("toolkit", "plugins", "docs") for path in (ROOT / top).rglob("*.py")]


def test_every_source_is_in_the_bibliography():
    known = set(re.findall(r"^## (\w+)$", (DOCS / "references.md").read_text("utf-8"), re.MULTILINE))
    used = {(key, path.name) for path in sources() for key in KEY.findall(path.read_text("utf-8"))}
    assert {key for key, _ in used} <= known, sorted((key, file) for key, file in used if key not in known)


def test_the_bibliography_is_sorted_and_used():
    listed = re.findall(r"^## (\w+)$", (DOCS / "references.md").read_text("utf-8"), re.MULTILINE)
    assert listed == sorted(listed)
    code = "".join(path.read_text("utf-8") for path in sources())
    prose = "".join(page.read_text("utf-8") for page in PAGES if page.name != "references.md")
    # some defaults name their paper in words
    worded = {
        key for key in listed if re.search(rf"{key[:4]}.{{0,40}}{re.search(r'[0-9]{4}', key)[0]}", code, re.IGNORECASE)
    }
    assert set(listed) <= set(KEY.findall(code + prose)) | worded


def test_the_two_commands_stand_in_the_readme():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert DEMO in readme
    assert DEV in readme


def test_ci_runs_what_the_readme_and_contributing_say():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    install_command, test_command = (part.strip() for part in DEV.split("&&"))
    assert f"\n{install_command}\n" in script
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for command in (test_command, "ruff check", "ruff format --check", "mypy", "lint-imports", "mkdocs build --strict"):
        assert re.search(rf"^{re.escape(command)}( |$)", script, re.MULTILINE), command
        assert command in contributing


def own_names():
    packages = {plugin.value.split(".")[0] for plugin in installed() if plugin.distribution == "inradius"}
    table = registry.entries().items()
    return {name for name, entry in table if entry.build.__module__.split(".")[0] in packages}


def test_the_page_of_names_has_everything_there_is():
    rows = re.findall(r"^\| [^`|]+ \| (`.*) \|$", (DOCS / "reference" / "names.md").read_text("utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == own_names()


def test_the_figures_in_the_readme_are_those_of_the_cards():
    found = re.findall(r"^\| `(\w+)` \|((?: [\d.]+ % \|)+)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert len(found) == 3
    for name, row in found:
        card = (ROOT / "plugins" / "inradius_architectures" / "weights" / f"{name}.md").read_text("utf-8")
        assert all(f"| {figure} |" in card for figure in re.findall(r"[\d.]+ %", row)), name


@pytest.fixture
def generated():
    """The hooks of the site."""
    pytest.importorskip("mkdocs", reason="the site is built with the extra docs")
    spec = importlib.util.spec_from_file_location("generated", DOCS / "_hooks" / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_generated_from_the_code(generated):
    pages = {
        name: (DOCS / "reference" / f"{name}.md").read_text("utf-8")
        for name in ("components", "cli", "interfaces", "networks", "recipes", "papers", "testing", "evidence")
    }
    made = {name: generated.on_page_markdown(text) for name, text in pages.items()}
    assert not any("<!-- generated" in text for text in made.values())
    assert own_names() == set(re.findall(r"^### \w+ \{#(\w+)\}$", made["components"], re.MULTILINE))
    assert "## inradius bracket" in made["cli"]
    assert "`--fail-under SHARE`" in made["cli"]
    assert "`zero_is_inside`" in made["testing"]
    assert "| `weight_decay` | The optimiser's weight decay. | `0.0` |" in made["interfaces"]
    assert "\n## mnist_small_certified\n" in made["networks"]
    assert "| `wu2022-fait` | FAIT" in made["recipes"]
    assert "| `thesis-4.3` | R+FGSM" in made["papers"]
    assert "| `hashes` |" in made["evidence"]


def test_sources_become_links(generated):
    class Page:
        url = "reference/components/"

    linked = generated.on_page_content("<p>Text. Source: wong2018, gowal2018 (both).</p>", page=Page)
    assert linked.count('<a href="../../references/#') == 2


def test_the_version_has_an_entry_in_the_changelog():
    assert f"## [{inradius.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_page_of_papers_names_what_there_is():
    text = (DOCS / "explanation" / "papers.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    assert len(rows) > 40
    for *_, part, experiment in rows:
        for name in re.findall(r"`([a-z]\w*)`", part):
            assert name in registry.entries() or name in ("kernel",), name
        for path in re.findall(r"`((?:benchmarks|tests|docs)/[^`]+)`", experiment):
            assert (ROOT / path).exists(), path
        for table in re.findall(r"`inradius reproduce ([\w.-]+)`", experiment):
            assert (ROOT / "toolkit" / "inradius" / "reproduction" / "tables" / f"{table}.toml").exists(), table
        assert part == "component" or set(experiment) == {"-"} or "`" in experiment, experiment
