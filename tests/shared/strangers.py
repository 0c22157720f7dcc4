"""An environment as a stranger has it, into which distributions are installed."""

import os
import subprocess
import sys
from pathlib import Path

# each command line that is given, one after the other
INRADIUS = "import sys; from inradius.cli import run; sys.exit(max(run(line.split()) for line in sys.argv[1:]))"
# what builds a distribution stands in the dev extra: nothing is fetched
OFFLINE = ("--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir")


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
