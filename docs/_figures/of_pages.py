"""Draws docs/assets/witness.png, polytopes.png and saliency.png, by the code of the pages that show them.

Run it from the root of the repository, with the extras ``demo``, ``verify`` and ``saliency`` installed:
``python docs/_figures/of_pages.py``; it takes half a minute. Source: wong2020, figures 3.4 and 3.5 (the polytopes).
"""

import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

DOCS = Path(__file__).parents[1]
PAGES = {
    "witness.png": "tutorials/verify-a-property.md",
    "polytopes.png": "explanation/complete-verification.md",
    "saliency.png": "how-to/see-what-a-network-looks-at.md",
}


def draw(figure: str, page: Path) -> None:
    """Runs the blocks of a page in a folder of their own, and keeps the figure."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        exec("\n".join(blocks), {"__name__": "page"})
        shutil.copy(figure, DOCS / "assets" / figure)
        os.chdir(DOCS)


if __name__ == "__main__":
    for each, path in PAGES.items():
        draw(each, DOCS / path)
