"""A stranger's distribution installs into an empty environment, is found there, keeps the laws, and leaves nothing behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "docs" / "examples" / "acme-tint"
# each command line that is given, one after the other
INRADIUS = "import sys; from inradius.cli import run; sys.exit(max(run(line.split()) for line in sys.argv[1:]))"


class Environment:
    """An environment without packages of its own, which sees those of the running one and cannot change them."""

    def __init__(self, folder):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        self.packages = Path(self("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        # addsitedir reads the .pth files there, so that an editable inradius is seen too
        seen = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in seen)
        (self.packages / "running.pth").write_text(lines)

    def __call__(self, *arguments, cwd=None):
        command = [self.python, *arguments]
        done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def pip(self, *arguments):
        return self("-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input", *arguments)

    def files(self):
        return {path.relative_to(self.packages) for path in self.packages.rglob("*") if path.name != "__pycache__"}


def running():
    return {path.name for path in map(Path, sys.path) if path.is_dir() for path in path.glob("*acme*")}


def test_acme_tint_is_found_keeps_the_laws_and_leaves_nothing_behind(tmp_path):
    before = running()
    source = shutil.copytree(SOURCE, tmp_path / "acme-tint")
    environment = Environment(tmp_path / "empty")
    empty = environment.files()

    # hatchling, which builds it, is in the dev extra: nothing is fetched
    environment.pip("install", "--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir", str(source))
    assert {path.parts[0] for path in environment.files() - empty} == {"acme_tint", "acme_tint-0.1.0.dist-info"}

    told = environment("-c", INRADIUS, "plugins", "describe tint", cwd=tmp_path)
    assert ["acme_tint", "acme-tint", "0.1.0", "acme_tint", "ok"] in [line.split() for line in told.splitlines()]
    assert "tint(eps" in told

    laws = environment("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=source)
    last = laws.strip().splitlines()[-1]
    assert "passed" in last
    assert not {"failed", "skipped", "error"} & set(last.split()), laws

    environment.pip("uninstall", "--yes", "acme-tint")
    assert environment.files() == empty
    assert running() == before
