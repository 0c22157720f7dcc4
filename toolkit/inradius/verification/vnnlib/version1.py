"""VNN-LIB 1: declared constants ``X_i`` and ``Y_i``, and assertions about them.

Source: demarchi2023.
"""

import itertools
import re

from inradius.errors import InputError, UnsupportedError
from inradius.verification.vnnlib.arithmetic import RELATIONS, added, divided, multiplied, related
from inradius.verification.vnnlib.expressions import Expression, commands, line_of, shown
from inradius.verification.vnnlib.formulas import ONE, ZERO, Affine, All, Either, Formula, Statement, Variable, negated
from inradius.verification.vnnlib.numbers import number

_NAME = re.compile(r"(?P<side>[XY])_(?P<index>0|[1-9][0-9]{0,8})")
# commands of SMT-LIB that say nothing about the set
_SILENT = ("set-logic", "set-info", "set-option", "check-sat", "get-model", "exit")


def statement_of(text: str) -> Statement:
    """The statement of a text. Raises ``InputError`` and ``UnsupportedError``, with the line, for what is not read."""
    reader = _Reader()
    for place, command in commands(text):
        try:
            reader.read(command)
        except (InputError, UnsupportedError) as error:
            raise type(error)(f"line {line_of(text, place)}: {error}") from error
    return reader.statement()


class _Reader:
    """Reads the commands of one text, one after the other."""

    def __init__(self) -> None:
        self._declared: dict[str, Variable] = {}
        self._asserted: list[Formula] = []

    def statement(self) -> Statement:
        """The statement that the commands so far make together."""
        if not self._asserted:
            raise InputError("there is no assertion; allowed are properties with at least one")
        return Statement(self._count(output=False), self._count(output=True), All(tuple(self._asserted)))

    def read(self, command: Expression) -> None:
        """Adds a command to the statement."""
        match command:
            case ("declare-const", str(name), str(kind)) | ("declare-fun", str(name), (), str(kind)):
                self._declare(name, kind)
            case ("assert", formula):
                self._asserted.append(self._formula(formula))
            case (str(word), *_) if word in _SILENT:
                pass
            case _:
                raise InputError(
                    f"{shown(command)} is no command of VNN-LIB 1; allowed are (declare-const X_0 Real) and (assert ...)"
                )

    def _declare(self, name: str, kind: str) -> None:
        found = _NAME.fullmatch(name)
        if found is None:
            raise InputError(f"{name[:40]!r} is declared; allowed are the names X_0, X_1, ... and Y_0, Y_1, ...")
        if kind != "Real":
            raise UnsupportedError(f"{name} is declared as {shown(kind)}; allowed is Real")
        if name in self._declared:
            raise InputError(f"{name} is declared twice; allowed is one declaration of each name")
        self._declared[name] = Variable(found["side"] == "Y", int(found["index"]))

    def _count(self, *, output: bool) -> int:
        """The number of inputs or outputs, which are numbered without gaps."""
        found = sorted(v.place for v in self._declared.values() if v.output == output)
        side = "Y" if output else "X"
        if not found:
            raise InputError(f"no {side}_0 is declared; allowed are properties of at least one input and one output")
        missing = next((place for place, index in enumerate(found) if place != index), None)
        if missing is not None:
            raise InputError(
                f"{side}_{found[missing]} is declared without {side}_{missing}; allowed are numbers without gaps"
            )
        return len(found)

    def _formula(self, given: Expression) -> Formula:
        match given:
            case ("and", *parts) if parts:
                return All(tuple(map(self._formula, parts)))
            case ("or", *parts) if parts:
                return Either(tuple(map(self._formula, parts)))
            case ("not", part):
                return negated(self._formula(part))
            case (str(relation), first, second, *more) if relation in RELATIONS:
                numbers = [self._affine(part) for part in (first, second, *more)]
                pairs = [related(relation, a, b) for a, b in itertools.pairwise(numbers)]
                return pairs[0] if len(pairs) == 1 else All(tuple(pairs))
        raise UnsupportedError(
            f"{shown(given)} is no statement that is read; allowed are and, or, not and the comparisons {', '.join(RELATIONS)}"
        )

    def _affine(self, given: Expression) -> Affine:
        match given:
            case str(word):
                return self._word(word)
            case ("+", *parts) if parts:
                return added(map(self._affine, parts))
            case ("-", part):
                return self._affine(part).negative()
            case ("-", first, *parts):
                return self._affine(first).minus(added(map(self._affine, parts)))
            case ("*", *parts) if parts:
                return multiplied([self._affine(part) for part in parts], shown(given))
            case ("/", top, *parts) if parts:
                return divided(self._affine(top), [self._affine(part) for part in parts], shown(given))
        raise UnsupportedError(f"{shown(given)} is no number that is read; allowed are sums, differences and multiples")

    def _word(self, word: str) -> Affine:
        variable = self._declared.get(word)
        if variable is not None:
            return Affine({variable: ONE}, ZERO)
        if _NAME.fullmatch(word):
            raise InputError(f"{word} is not declared before it is used; allowed are declared names")
        return Affine.of(number(word))
