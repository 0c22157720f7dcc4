"""Formulas over the inputs and outputs of a network: linear comparisons, and their conjunctions and disjunctions, exact."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import attrs
import torch

ZERO, ONE = Fraction(0), Fraction(1)


class Variable(NamedTuple):
    """A number of the flattened inputs (``output`` false) or of the flattened outputs."""

    output: bool
    place: int

    def __str__(self) -> str:
        return f"{'Y' if self.output else 'X'}_{self.place}"


@attrs.frozen
class Affine:
    """The number Σ weight · variable + constant; no weight is 0."""

    weights: dict[Variable, Fraction]
    constant: Fraction

    @classmethod
    def of(cls, constant: Fraction) -> "Affine":
        """A constant."""
        return cls({}, constant)

    def plus(self, other: "Affine") -> "Affine":
        """The sum with another number."""
        if not other.weights or not self.weights:
            return Affine(self.weights or other.weights, self.constant + other.constant)
        weights = dict(self.weights)
        for variable, weight in other.weights.items():
            weights[variable] = weights[variable] + weight if variable in weights else weight
        return Affine({v: w for v, w in weights.items() if w}, self.constant + other.constant)

    def minus(self, other: "Affine") -> "Affine":
        """The difference to another number."""
        return self.plus(other.negative())

    def negative(self) -> "Affine":
        """This number times −1."""
        return Affine({v: -w for v, w in self.weights.items()}, -self.constant)

    def times(self, factor: Fraction) -> "Affine":
        """This number times a constant."""
        return Affine({v: factor * w for v, w in self.weights.items() if factor}, factor * self.constant)

    def at(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> Fraction:
        """The value at inputs and outputs."""
        sides = (x, y)
        return self.constant + sum(weight * sides[v.output][v.place] for v, weight in self.weights.items())


@attrs.frozen
class Atom:
    """The comparison ``number`` ≤ 0, or ``number`` < 0 where it is strict."""

    number: Affine
    strict: bool

    def at(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        """True where the comparison holds."""
        value = self.number.at(x, y)
        return value < 0 or (value == 0 and not self.strict)


@attrs.frozen
class All:
    """The conjunction of its parts, true without parts."""

    parts: "tuple[Formula, ...]"


@attrs.frozen
class Either:
    """The disjunction of its parts, false without parts."""

    parts: "tuple[Formula, ...]"


Formula = Atom | All | Either
TRUE, FALSE = All(()), Either(())


@attrs.frozen
class Declared:
    """A tensor as a file declares it: its name, its shape, and its type, None for real numbers."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype | None

    def __str__(self) -> str:
        kind = "Real" if self.dtype is None else str(self.dtype).removeprefix("torch.")
        return f"{self.name} {kind} {list(self.shape)}"


@attrs.frozen(eq=False)
class Statement:
    """The content of a file: the numbers of flattened inputs and outputs, and the formula of the unsafe set.

    declared: the inputs with the shapes and types that the file gives them; None where it gives none.
    """

    inputs: int
    outputs: int
    formula: Formula
    declared: tuple[Declared, ...] | None = None


def compared(number: Affine, *, strict: bool) -> Formula:
    """number ≤ 0, or < 0 where ``strict``; a truth value where the number is a constant."""
    if number.weights:
        return Atom(number, strict)
    return TRUE if number.constant < 0 or (number.constant == 0 and not strict) else FALSE


def negated(formula: Formula) -> Formula:
    """The formula that holds where this one does not."""
    match formula:
        case Atom(number, strict):
            return Atom(number.negative(), not strict)
        case All(parts):
            return Either(tuple(map(negated, parts)))
        case Either(parts):
            return All(tuple(map(negated, parts)))


def holds(formula: Formula, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
    """True where the formula holds at these inputs and outputs, in exact arithmetic."""
    match formula:
        case Atom():
            return formula.at(x, y)
        case All(parts):
            return all(holds(part, x, y) for part in parts)
        case Either(parts):
            return any(holds(part, x, y) for part in parts)
