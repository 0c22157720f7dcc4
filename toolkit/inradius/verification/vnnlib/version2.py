"""VNN-LIB 2, read by the package ``vnnlib``: one network with named tensors, whose numbers are flattened in order.

Source: antony2026.
"""

import itertools
import json
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch

from inradius.errors import InputError, UnsupportedError
from inradius.verification.vnnlib.arithmetic import added, multiplied, related
from inradius.verification.vnnlib.expressions import commands
from inradius.verification.vnnlib.formulas import Affine, All, Declared, Either, Formula, Statement, Variable
from inradius.verification.vnnlib.numbers import number

if TYPE_CHECKING:
    import vnnlib

# the types of numbers that a network here may have; Real is told as unknown
_TYPES = {"F32": torch.float32, "F64": torch.float64, "Unknown": None}
_RELATIONS = {
    "LessEqual": "<=",
    "LessThan": "<",
    "GreaterEqual": ">=",
    "GreaterThan": ">",
    "Equal": "=",
}


def statement_of(text: str) -> Statement:
    """The statement of a text. Raises ``InputError`` for what the package refuses, ``UnsupportedError`` for what is not read."""
    try:
        import vnnlib
    except ImportError as error:
        raise UnsupportedError("VNN-LIB 2 is read by the package vnnlib; install it with inradius[verify]") from error
    # the package's own parser has no limit on nesting
    for _ in commands(text):
        pass
    try:
        query = vnnlib.parse_query_string(text)
    except Exception as error:  # a number too long for the package is an error of its language's library
        raise InputError(f"it is not VNN-LIB 2 ({_told(error)}); allowed is what the package vnnlib reads") from error
    reader = _Reader(query)
    formula = All(tuple(reader.formula(a.expr) for a in query.assertions))
    return Statement(reader.inputs, reader.outputs, formula, declared=reader.declared)


def _told(error: Exception) -> str:
    """The message of an error of the package in one line: the first of the errors that it lists as JSON, or its plain message."""
    try:
        first = json.loads(str(error))["errors"][0]
        told = f"line {first['line']}: {first['message']}: {first['offendingSymbol']}"
    except (ValueError, LookupError, TypeError):
        told = str(error)
    return " ".join(told.split())[:200]


class _Reader:
    """Reads the formulas of one query."""

    def __init__(self, query: "vnnlib.Query") -> None:
        if len(query.networks) != 1:
            raise UnsupportedError(f"the query is about {len(query.networks)} networks; allowed is one")
        network = query.networks[0]
        if network.hidden:
            raise UnsupportedError(
                f"the query names the hidden numbers {network.hidden[0].name}; allowed are inputs and outputs"
            )
        self._first: dict[str, Variable] = {}
        self._shapes: dict[str, list[int]] = {}
        self.inputs = self._places(network.inputs, output=False)
        self.declared = tuple(
            Declared(tensor.name, tuple(tensor.shape), _TYPES[tensor.dtype.name]) for tensor in network.inputs
        )
        self.outputs = self._places(network.outputs, output=True)

    def _places(self, definitions: "tuple[Any, ...]", *, output: bool) -> int:
        """The count of flattened numbers of these tensors, one after the other."""
        count = 0
        for tensor in definitions:
            if tensor.dtype.name not in _TYPES:
                raise UnsupportedError(
                    f"{tensor.name} has numbers of type {tensor.dtype.name}; allowed are float32, float64, Real"
                )
            self._first[tensor.name], self._shapes[tensor.name] = Variable(output, count), list(tensor.shape)
            count += math.prod(tensor.shape)
        return count

    def formula(self, given: Any) -> Formula:
        """The formula of a statement."""
        kind = type(given).__name__
        if kind == "And":
            return All(tuple(map(self.formula, given.args)))
        if kind == "Or":
            return Either(tuple(map(self.formula, given.args)))
        first, second = self._affine(given.lhs), self._affine(given.rhs)
        if kind == "NotEqual":
            return Either((related("<", first, second), related(">", first, second)))
        if kind in _RELATIONS:
            return related(_RELATIONS[kind], first, second)
        raise UnsupportedError(f"{given} is no statement that is read; allowed are and, or and comparisons")

    def _affine(self, given: Any) -> Affine:
        match type(given).__name__:
            case "Var":
                return self._variable(given)
            case "Negate":
                return self._affine(given.expr).negative()
            case "Plus":
                return added(map(self._affine, given.args))
            case "Minus":
                return self._affine(given.head).minus(added(map(self._affine, given.rest)))
            case "Multiply":
                return multiplied(map(self._affine, given.args), str(given).strip())
        lexeme = getattr(given, "lexeme", None)
        if lexeme is None:
            raise UnsupportedError(f"{given} is no number that is read; allowed are sums, differences and multiples")
        return Affine.of(number(lexeme))

    def _variable(self, given: Any) -> Affine:
        shape, first = self._shapes[given.name], self._first[given.name]
        place = 0
        for index, size in itertools.zip_longest(given.indices, shape):
            if index is None or size is None or not 0 <= index < size:
                raise InputError(f"{given} is no number of a tensor of shape {shape}; allowed are indices within it")
            place = place * size + index
        return Affine({Variable(first.output, first.place + place): Fraction(1)}, Fraction(0))
