"""The walk from a call of ``inradius.bracket`` to its report stays short, and is the one on the page."""

import subprocess
import sys

import pytest
import walk

# at most this many modules of the bracket and its report
OWN = 25
ROOT = walk.PAGE.parents[2]


@pytest.fixture(scope="module")
def entered():
    """The names of the modules in the order in which they are entered, in a fresh interpreter."""
    found = subprocess.run([sys.executable, walk.__file__, "--list"], capture_output=True, text=True, check=True)
    return found.stdout.split()


def test_the_walk_is_short(entered):
    assert len(walk.own(entered)) <= OWN, walk.own(entered)


def test_the_page_shows_the_walk(entered):
    pytest.importorskip("matplotlib")  # without it no figure is drawn
    assert walk.listed() == entered, "`python tests/shared/walk.py` writes the list again"
    assert walk.counted(entered) in walk.PAGE.read_text("utf-8")


def test_the_page_shows_every_folder():
    tree = walk.PAGE.read_text("utf-8").partition("```text\n")[2].partition("```")[0]
    shown = {line.split()[0].rstrip("/") for line in tree.splitlines()}
    folders = {
        path.parent.name for top in ("toolkit/inradius", "plugins") for path in (ROOT / top).glob("*/__init__.py")
    }
    assert folders <= shown, folders - shown
