"""``python built_files.py ROOT FILE...``: a wheel and an sdist hold every tracked file that an installation needs."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def missing(root: Path, file: Path) -> list[str]:
    """The files of the tree that a wheel or an sdist lacks, as paths in the tree."""
    listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True, check=True)
    tracked = listed.stdout.split("\n")
    code = [name for name in tracked if name.startswith(("toolkit/", "plugins/"))]
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
        wanted = {name: name.split("/", 1)[1] for name in code}
        for name in ("LICENSE", "NOTICE"):
            wanted[name] = f"{file.name.rsplit('-', 3)[0]}.dist-info/licenses/{name}"
        extra = [name for name in names if "__pycache__" in name or "/tests/" in name]
    else:
        with tarfile.open(file) as archive:
            names = {name.split("/", 1)[-1] for name in archive.getnames()}
        roots = ("tests/", "docs/", "benchmarks/", "LICENSE", "NOTICE", "README.md", "pyproject.toml", "CHANGELOG.md")
        wanted = {name: name for name in tracked if name in code or name.startswith(roots)}
        extra = [name for name in names if "__pycache__" in name]
    return sorted(name for name, place in wanted.items() if place not in names) + [f"{n} is too much" for n in extra]


def main() -> None:
    """Prints what each file lacks; exits with 1 where one lacks something."""
    root, *files = map(Path, sys.argv[1:])
    wrong = False
    for file in files:
        lacks = missing(root, file)
        wrong |= bool(lacks)
        print(f"{'WRONG ' if lacks else 'ok    '} {file.name}: {', '.join(lacks) or 'complete'}")
    sys.exit(wrong)


if __name__ == "__main__":
    main()
