"""The walk: the modules that are entered between a call of ``inradius.bracket`` with one ``pgd`` and its report.

``python tests/shared/walk.py`` writes the list on docs/explanation/architecture.md again. A module counts when one of its
functions is called, which ``sys.setprofile`` tells. The registry (``inradius.components``) and ``inradius.errors`` are left
out, and so is the import of modules, which happens before.
"""

import ast
import importlib.util
import re
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "architecture.md"
LEFT_OUT = ("inradius.components", "inradius.errors")
# the packages that lead from the call to the report; the others are what an attack needs wherever it is called
OWN = ("inradius.bracketing", "inradius.report")
_LINE = re.compile(r"^\d+\. `([\w.]+)`: ", re.MULTILINE)


def walk(folder):
    """The names of the modules in the order in which they are entered."""
    import torch
    from torch import nn

    import inradius

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    x = torch.rand(8, 1, 8, 8)
    data = inradius.Dataset.of(x, model(x).argmax(1))
    threat = inradius.make("linf(eps=0.01)", inradius.ThreatModel)
    seen = {}

    def called(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_name != "<module>":
            seen.setdefault(frame.f_globals.get("__name__", ""))

    sys.setprofile(called)
    try:
        inradius.bracket(model, data, threat, attacks="pgd", certifiers=(), folder=folder)
    finally:
        sys.setprofile(None)
    return [name for name in seen if name.startswith("inradius") and not name.startswith(LEFT_OUT)]


def listed():
    """The names of the modules on the page, in its order."""
    return _LINE.findall(PAGE.read_text("utf-8"))


def own(names):
    """Those of them in the packages of the bracket and its report."""
    return [name for name in names if name.startswith(OWN)]


def counted(names):
    """The number of modules, as the page says it."""
    return f"These are {len(names)} modules, {len(own(names))} of them in `bracketing/` and `report/`."


def _line(number, name):
    source = Path(importlib.util.find_spec(name).origin).read_text("utf-8")
    return f"{number}. `{name}`: {ast.get_docstring(ast.parse(source)).splitlines()[0]}"


def write(names):
    """Puts the list on the page, with the first line of each module's documentation."""
    lines = "\n".join(_line(number, name) for number, name in enumerate(names, 1)) + f"\n\n{counted(names)}"
    start, end = "<!-- walk -->", "<!-- end of walk -->"
    head, _, rest = PAGE.read_text("utf-8").partition(start)
    PAGE.write_text(f"{head}{start}\n\n{lines}\n\n{end}{rest.partition(end)[2]}", "utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        names = walk(folder)
    if sys.argv[1:] == ["--list"]:
        print(*names, sep="\n")
    else:
        write(names)
        print(counted(names))
