"""A second reader of VNN-LIB 1: the text becomes JSON, and its statements are evaluated as they stand, without a normal form."""

import json
import re
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from vnnlib_cases import covered, on_a_side, points

from inradius.errors import InradiusError
from inradius.verification.vnnlib.query import Query, read_query
from inradius.verification.vnnlib.version1 import statement_of

_DECIMAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,5})?", re.ASCII | re.IGNORECASE)
_SAID = ("set-logic", "set-info", "set-option", "check-sat", "get-model", "exit")


class RefusedError(Exception):
    """The text is no VNN-LIB 1."""


class Reference:
    """The counts of inputs and outputs of a text, and whether numbers for them are unsafe."""

    def __init__(self, text):
        self.names, self.statements, self.known = [], [], {}
        for command in listed(text):
            self.take(command)
        for side in "XY":
            if sorted(name for name in self.names if name[0] == side) != sorted(
                f"{side}_{k}" for k in range(self.count(side))
            ):
                raise RefusedError(side)
            if not self.count(side):
                raise RefusedError(side)
        if not self.statements:
            raise RefusedError("no statement")

    def count(self, side):
        return sum(name.startswith(side) for name in self.names)

    def take(self, command):
        if not isinstance(command, list) or not command or not isinstance(command[0], str):
            raise RefusedError(command)
        word, *rest = command
        if word == "assert" and len(rest) == 1:
            self.statements.append(rest[0])
            # reading once finds what cannot be read, whatever the numbers are
            truth(rest[0], self.known)
        elif word in ("declare-const", "declare-fun"):
            if word == "declare-fun" and rest[1:2] != [[]]:
                raise RefusedError(command)
            name, kind = (rest[0], rest[-1]) if len(rest) == (2 if word == "declare-const" else 3) else (None, None)
            if not isinstance(name, str) or not re.fullmatch(r"[XY]_(0|[1-9]\d*)", name, re.ASCII) or kind != "Real":
                raise RefusedError(command)
            if name in self.known:
                raise RefusedError(name)
            self.names.append(name)
            self.known[name] = Fraction(3, 7)
        elif word not in _SAID:
            raise RefusedError(command)

    def unsafe(self, x, y):
        numbers = {f"X_{k}": v for k, v in enumerate(x)} | {f"Y_{k}": v for k, v in enumerate(y)}
        return all(truth(statement, numbers) for statement in self.statements)


def listed(text):
    """The commands of a text as lists of lists of words."""
    pieces = re.split(r"(;[^\r\n]*|\"[^\"]*\"|\|[^|]*\||[()]|[ \t\r\n]+)", text)
    parts = []
    for piece in pieces:
        if piece in ("(", ")"):
            parts.append("[" if piece == "(" else "],")
        elif piece and not piece.isspace() and not piece.startswith(";"):
            quoted = len(piece) > 1 and piece[0] == piece[-1] and piece[0] in '"|'
            if not quoted and ('"' in piece or "|" in piece):
                raise RefusedError(piece)
            parts.append(json.dumps(piece) + ",")
        elif piece.isspace() and piece.strip(" \t\r\n"):
            parts.append(json.dumps(piece) + ",")
    try:
        return json.loads(re.sub(r",(?=\])|,$", "", f"[{''.join(parts)}]"))
    except (ValueError, RecursionError) as error:
        raise RefusedError(text) from error


def truth(statement, numbers):
    if not isinstance(statement, list) or len(statement) < 2 or not isinstance(statement[0], str):
        raise RefusedError(statement)
    word, *rest = statement
    if word in ("and", "or"):
        return (all if word == "and" else any)([truth(part, numbers) for part in rest])
    if word == "not" and len(rest) == 1:
        return not truth(rest[0], numbers)
    if word in ("<=", ">=", "<", ">", "=") and len(rest) > 1:
        values = [value(part, numbers) for part in rest]
        tests = {
            "<=": lambda a, b: a <= b,
            ">=": lambda a, b: a >= b,
            "<": lambda a, b: a < b,
            ">": lambda a, b: a > b,
            "=": lambda a, b: a == b,
        }
        return all(tests[word](a, b) for a, b in pairwise(values))
    raise RefusedError(statement)


def value(expression, numbers):
    if isinstance(expression, str):
        if expression in numbers:
            return numbers[expression]
        if not _DECIMAL.fullmatch(expression) or len(expression) > 1000:
            raise RefusedError(expression)
        return Fraction(Decimal(expression))
    if len(expression) < 2 or not isinstance(expression[0], str):
        raise RefusedError(expression)
    word, *rest = expression
    parts = [value(part, numbers) for part in rest]
    if word == "+":
        return sum(parts)
    if word == "-":
        return -parts[0] if len(parts) == 1 else parts[0] - sum(parts[1:])
    if word in ("*", "/") and (word == "*" or len(parts) > 1):
        product = parts[0]
        for part in parts[1:]:
            if word == "/" and not part:
                raise RefusedError(expression)
            product = product * part if word == "*" else product / part
        return product
    raise RefusedError(expression)


def refusal(path):
    """The sentence with which a file is refused; None where it is read."""
    try:
        read_query(path)
    except InradiusError as error:
        told = str(error)
    else:
        return None
    assert str(path) in told
    assert "\n" not in told
    return told


def agree(text, count=20, seed=0, among=points):
    """Reads a text, and compares what it says about points with the second reader."""
    query, reference = Query.of(statement_of(text)), Reference(text)
    assert (query.inputs, query.outputs) == (reference.count("X"), reference.count("Y"))
    for x, y in among(query, count, seed):
        unsafe = reference.unsafe(x, y)
        assert query.holds(x, y) == unsafe
        assert covered(query, x, y) or not unsafe
        assert unsafe or on_a_side(query, x) or not covered(query, x, y)
    return query
