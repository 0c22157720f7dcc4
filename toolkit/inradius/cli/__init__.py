"""The command line: ``inradius bracket``, ``attack``, ``certify``, ``train``, ``list``, ``describe``, ``plugins``, ``report``."""

import sys
from collections.abc import Sequence


def main() -> None:
    """The program: runs the command of the process's arguments and exits."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code: 0 done, 1 below ``--fail-under``, 2 an error in one sentence, 130 stopped."""
    from inradius.cli.app import app
    from inradius.cli.guard import guarded

    return guarded(lambda: app(list(arguments) or ["--help"], prog_name="inradius", standalone_mode=False))
