"""The command line: ``inradius bracket``, ``attack``, ``certify``, ``verify``, ``train``, ``list`` and others."""

import sys
from collections.abc import Sequence


def main() -> None:
    """The program: runs the command of the process's arguments and exits."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code: 0 done, 1 below a demanded share, 2 an error in one sentence, 130 stopped.

    ``verify`` has 10, 11 and 12 for a counterexample, for an open question, and for the end of its time.
    """
    from inradius.cli.app import app
    from inradius.cli.guard import guarded

    return guarded(lambda: app(list(arguments) or ["--help"], prog_name="inradius", standalone_mode=False))
