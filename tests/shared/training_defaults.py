"""Changes of the defaults that docs/reference/defaults.md states, as replacements of texts in the files that hold them."""

import ast
import inspect
import json
import re
import sys
from pathlib import Path

from inradius.components.registry import find

ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| `([^`]+)` \|", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?")
# the specs that several classes share are built in one place
CLIMBER = "plugins/inradius_training/distance/compared.py"
SHARED = [
    (CLIMBER, "steps=10", "steps=11"),
    (CLIMBER, "step=0.25", "step=0.2"),
    (CLIMBER, "noise=0.001", "noise=0.01"),
    (CLIMBER, "keep_maximising=True", "keep_maximising=False"),
    ("plugins/inradius_training/distance/score.py", "random_start=True", "noise=0.001"),
    ("plugins/inradius_training/distance/trades.py", 'climber("kl()"', 'climber("cross_entropy()"'),
    ("plugins/inradius_training/distance/hat.py", 'climber("kl()"', 'climber("cross_entropy()"'),
    ("plugins/inradius_training/distance/mart.py", 'climber("cross_entropy()"', 'climber("kl()"'),
    ("plugins/inradius_training/distance/bregman.py", 'entropy, "kl()")', 'entropy, "margin()")'),
]


def default_changes(root):
    """(file, old, new) for each default that the page names, each once, and for each number of a default that is a spec."""
    found = dict.fromkeys(SHARED)
    for name, parameter, _ in ROW.findall((root / "docs" / "reference" / "defaults.md").read_text("utf-8")):
        file, line = _line_of(find(name).build, parameter)
        for changed in _changed(line):
            found[(str(file.relative_to(root)), line, changed)] = None
    return list(found)


def _line_of(kind, parameter):
    """The file and the text of a field: that of the class itself, or of the base that has it."""
    for owner in kind.__mro__:
        file = Path(inspect.getsourcefile(owner)) if owner.__module__.startswith("inradius") else None
        if file is None:
            continue
        source = file.read_text("utf-8")
        (body,) = [node.body for node in ast.parse(source).body if getattr(node, "name", "") == owner.__name__]
        for node in body:
            if isinstance(node, ast.AnnAssign) and node.target.id == parameter:
                return file, ast.get_source_segment(source, node)
    raise SystemExit(f"{kind.__name__} has no field {parameter}")


def _changed(line):
    """The texts of the field with another default."""
    head, mark, tail = _parts(line)
    if mark == "factory":
        return [f"{head}{new}" for new in _specs(tail)]
    value = re.match(r'(".*?"|\(.*?\)|[^,()]+)', tail)[1]
    return [f"{head}{new}{tail[len(value) :]}" for new in _values(value)]


def _parts(line):
    """The text up to the default, what kind it is, and the rest; a field without ``attrs.field`` is a plain value."""
    for mark in ("default=", "factory="):
        if mark in line:
            head, _, tail = line.partition(mark)
            plain = mark == "default=" and not tail.startswith("attrs.Factory")
            return head + mark, "default" if plain else "factory", tail
    head, _, tail = line.partition(" = ")
    return head + " = ", "default", tail


def _values(value):
    """Other defaults in place of a value."""
    if value in ("True", "False"):
        return ["False" if value == "True" else "True"]
    if value == "None":
        return ["0.123"]
    if value.startswith('"'):
        others = {
            '"eval"': '"train"',
            '"train_notrack"': '"eval"',
            '"negative_entropy"': '"squares"',
            '"lowest"': '"reflect"',
        }
        others |= {'"batch"': '"example"', '"hull"': '"each"'}
        return [others[value]]
    if value.startswith("("):
        return ["(0.123,)"]
    whole = re.fullmatch(r"\d+", value)
    return [f"{int(value) + 1}"] if whole else [f"0.5 * {value}" if value not in ("0.0", "-1.0") else "0.25"]


def _specs(text):
    """The text with each number of its spec changed, one at a time, and with its flags turned."""
    found = []
    spec = re.search(r'"([^"]*)"', text)
    if spec is None:
        # a component without parameters, or one whose spec is built elsewhere
        return []
    for number in NUMBER.finditer(spec[1]):
        value = number[0]
        new = str(int(value) + 1) if value.isdigit() else str(float(value) / 2)
        at = spec.start(1) + number.start()
        found.append(text[:at] + new + text[at + len(value) :])
    if "keep_maximising=True" in spec[1]:
        found.append(text.replace("keep_maximising=True", "keep_maximising=False", 1))
    if not found:
        other = {"interval()": "crown()", "dual()": "interval()", "crown()": "interval()"}
        found = [text.replace(old, new, 1) for old, new in other.items() if f'"{old}"' in text]
    return found


if __name__ == "__main__":
    print(json.dumps(default_changes(Path(sys.argv[1]))))
