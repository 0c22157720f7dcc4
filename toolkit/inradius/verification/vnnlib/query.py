"""The question of a file: boxes of inputs, and for each the combinations of comparisons that are unsafe in it."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import attrs

from inradius.errors import InputError, UnsupportedError
from inradius.verification.vnnlib import version1, version2
from inradius.verification.vnnlib.boxes import Box, narrowed
from inradius.verification.vnnlib.expressions import commands
from inradius.verification.vnnlib.files import text_of
from inradius.verification.vnnlib.formulas import Declared, Formula, Statement, holds
from inradius.verification.vnnlib.normal_form import Conjunction, normal_form


@attrs.frozen(eq=False)
class Case:
    """A closed box of inputs, lower ≤ x ≤ upper, and what is unsafe in it: one of the ``unsafe`` conjunctions holds.

    The comparisons are about outputs, or about several inputs. A conjunction of none holds in the whole box.
    """

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    unsafe: tuple[Conjunction, ...]


@attrs.frozen(eq=False)
class Query:
    """The question of a file: are there an input and its output for which ``formula`` holds, that is, which are unsafe?

    inputs, outputs: how many numbers they have. cases: the same question as boxes of inputs with what is unsafe in each.
    declared: the inputs as the file declares them, None where it gives no shapes.
    """

    inputs: int
    outputs: int
    formula: Formula
    cases: tuple[Case, ...]
    declared: tuple[Declared, ...] | None = None

    @classmethod
    def of(cls, statement: Statement) -> "Query":
        """The query of a statement. Raises ``InputError`` for inputs without bounds, and where no input meets them."""
        common, ways = normal_form(statement.formula)
        base, rest = narrowed(common, Box())
        ways = [] if base.empty else ways
        boxes: dict[object, Box] = {}
        unsafe: dict[object, list[Conjunction]] = {}
        for way in ways:
            box, atoms = narrowed(way, base)
            if not box.empty:
                boxes.setdefault(box.key, box)
                unsafe.setdefault(box.key, []).append((*rest, *atoms))
        if not boxes:
            raise InputError("no input meets the bounds of the property; allowed are regions that hold an input")
        cases = (Case(*box.sides(statement.inputs), tuple(unsafe[key])) for key, box in boxes.items())
        return cls(statement.inputs, statement.outputs, statement.formula, tuple(cases), statement.declared)

    def holds(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        """True where the inputs lie in the region and are unsafe with these outputs, in exact arithmetic."""
        return holds(self.formula, x, y)


def read_query(path: Path) -> Query:
    """The query of a VNN-LIB file of version 1 or 2, also compressed.

    A file that declares its version is read as that. Raises ``InputError`` and ``UnsupportedError`` with the file's name.
    """
    text = text_of(path)
    try:
        return Query.of(_statement(text))
    except (InputError, UnsupportedError) as error:
        raise type(error)(f"{path}: {error}") from error


def _statement(text: str) -> Statement:
    match next(commands(text), None):
        case (_, ("vnnlib-version", *_)):
            return version2.statement_of(text)
        case _:
            return version1.statement_of(text)
