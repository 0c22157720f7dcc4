"""``python -m inradius`` is the command ``inradius``."""

from inradius.cli import main

main()
