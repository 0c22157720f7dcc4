"""Draws docs/assets/witness.png, by the code of the tutorial "Verify a property".

Run it from the root of the repository, with the extras ``demo`` and ``verify`` installed: ``python docs/_figures/witness.py``.
"""

import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "tutorials" / "verify-a-property.md"
TARGET = DOCS / "assets" / "witness.png"


def main() -> None:
    """Runs the blocks of the page in a folder of their own, and keeps the figure."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        exec("\n".join(blocks), {"__name__": "page"})
        shutil.copy("witness.png", TARGET)
        os.chdir(DOCS)


if __name__ == "__main__":
    main()
