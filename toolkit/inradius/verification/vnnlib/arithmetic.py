"""Sums, products and comparisons of affine numbers, as files write them."""

from collections.abc import Iterable
from fractions import Fraction

from inradius.errors import UnsupportedError
from inradius.verification.vnnlib.formulas import Affine, All, Formula, compared

RELATIONS = ("<=", ">=", "<", ">", "=")


def related(relation: str, a: Affine, b: Affine) -> Formula:
    """The comparison of two numbers by one of ``RELATIONS``."""
    if relation == "=":
        return All((related("<=", a, b), related(">=", a, b)))
    return compared(a.minus(b) if relation.startswith("<") else b.minus(a), strict=not relation.endswith("="))


def added(parts: Iterable[Affine]) -> Affine:
    """The sum of numbers."""
    total = Affine.of(Fraction(0))
    for part in parts:
        total = total.plus(part)
    return total


def multiplied(parts: Iterable[Affine], written: str) -> Affine:
    """The product of numbers. Raises ``UnsupportedError`` where two of them have variables."""
    product = Affine.of(Fraction(1))
    for part in parts:
        if product.weights and part.weights:
            raise UnsupportedError(f"{written} multiplies variables; allowed are numbers times one variable")
        product = part.times(product.constant) if part.weights else product.times(part.constant)
    return product


def divided(top: Affine, parts: Iterable[Affine], written: str) -> Affine:
    """The quotient of a number by others. Raises ``UnsupportedError`` for divisors with variables and for 0."""
    for part in parts:
        if part.weights or not part.constant:
            raise UnsupportedError(f"{written} divides by a variable or by 0; allowed are numbers other than 0")
        top = top.times(1 / part.constant)
    return top
