"""A stranger's distribution installs into an empty environment, is found there, keeps the laws, and leaves nothing behind."""

import shutil
import sys
from pathlib import Path

from strangers import INRADIUS, OFFLINE, Environment

SOURCE = Path(__file__).parent.parent / "docs" / "examples" / "acme-tint"


def running():
    return {path.name for path in map(Path, sys.path) if path.is_dir() for path in path.glob("*acme*")}


def test_acme_tint_is_found_keeps_the_laws_and_leaves_nothing_behind(tmp_path):
    before = running()
    source = shutil.copytree(SOURCE, tmp_path / "acme-tint")
    environment = Environment(tmp_path / "empty")
    empty = environment.files()

    environment.pip("install", *OFFLINE, str(source))
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
