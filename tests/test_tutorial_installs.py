"""The ten lines of the tutorial and of the README are installed by pip, also beside other files."""

from pathlib import Path

import pytest
from strangers import INRADIUS, OFFLINE, Environment

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "corner", "docs/tutorials/first-plugin.md": "corner"}


def titled(page, title):
    return page.read_text("utf-8").split(f'title="{title}"\n', 1)[1].split("```", 1)[0]


@pytest.mark.slow  # pip builds twice
@pytest.mark.parametrize("name", PAGES)
def test_the_first_plugin_stays_installable(tmp_path, name):
    pytest.importorskip("setuptools", reason="pip builds with it where a project names nothing else")
    environment, place = Environment(tmp_path / "empty"), tmp_path / "acme"
    place.mkdir()
    for title in ("acme_corner.py", "pyproject.toml"):
        (place / title).write_text(titled(ROOT / name, title))
    environment.pip("install", *OFFLINE, "-e", str(place))
    (place / "test_laws.py").write_text("")
    (place / "notes.py").write_text("")
    environment.pip("install", *OFFLINE, "-e", str(place))
    told = environment("-c", INRADIUS, "describe corner", "plugins --check acme-corner --examples 1", cwd=tmp_path)
    assert "all 7 laws hold" in told
