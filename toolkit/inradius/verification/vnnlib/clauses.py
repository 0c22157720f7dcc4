"""The property that no conjunction of unsafe comparisons holds, as rows that a certifier proves."""

import math
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from inradius.errors import UnsupportedError
from inradius.outcomes.property import Property
from inradius.verification.vnnlib.formulas import Affine, Variable
from inradius.verification.vnnlib.normal_form import Conjunction
from inradius.verification.vnnlib.numbers import at_most


def uses_inputs(unsafe: Sequence[Conjunction]) -> bool:
    """True where a comparison is also about inputs, so that the rows are about outputs and inputs together."""
    return any(not variable.output for way in unsafe for atom in way for variable in atom.number.weights)


def safe_property(unsafe: Sequence[Conjunction], outputs: int, inputs: int, dtype: torch.dtype) -> Property:
    """A property that implies that no conjunction holds, on f(x), or on f(x) and x in one row where comparisons use inputs.

    A conjunction does not hold where one of its numbers is above 0, so it is a clause whose rows are its numbers, or the row −1
    where it has none and always holds. A number is scaled where ``dtype`` does not hold its weights, or where its constant is below
    the range of ``dtype``. Its constant is rounded down in float64, and one above the range counts as the largest within. Raises
    ``UnsupportedError`` for numbers that no factor brings into ``dtype``.
    """
    numbers: dict[object, int] = {}
    kept: list[Affine] = []
    members: list[list[int]] = []
    for way in unsafe:
        rows = []
        for number in [atom.number for atom in way] or [Affine.of(Fraction(-1))]:
            key = (tuple(sorted(number.weights.items())), number.constant)
            if key not in numbers:
                numbers[key] = len(kept)
                kept.append(_scaled(number, dtype))
            rows.append(numbers[key])
        members.append(rows)
    width = outputs + (inputs if uses_inputs(unsafe) else 0)
    weights, offsets = torch.zeros(len(kept), width, dtype=torch.float64), torch.zeros(len(kept), dtype=torch.float64)
    for row, number in enumerate(kept):
        for variable, weight in number.weights.items():
            weights[row, _place(variable, outputs)] = float(weight)
        offsets[row] = at_most(min(number.constant, _most(dtype)), torch.float64)
    return Property(weights, offsets, _clauses(members, len(kept)))


def _place(variable: Variable, outputs: int) -> int:
    return variable.place if variable.output else outputs + variable.place


def _clauses(members: list[list[int]], rows: int) -> Tensor | None:
    """True where a row is in a clause, (M clauses, K rows); None if clause k is row k alone."""
    if members == [[row] for row in range(rows)]:
        return None
    clauses = torch.zeros(len(members), rows, dtype=torch.bool)
    for clause, held in zip(clauses, members, strict=True):
        clause[held] = True
    return clauses


def _scaled(number: Affine, dtype: torch.dtype) -> Affine:
    """A positive multiple of the number whose weights ``dtype`` holds, and whose constant is not below its range."""
    found = number if _weights_held(number, dtype) else number.times(_whole(number))
    if found.constant < -_most(dtype):
        found = found.times(Fraction(1, 1 << math.ceil(-found.constant / _most(dtype)).bit_length()))
    if not _weights_held(found, dtype):
        shown = ", ".join(map(_shown, list(number.weights.values())[:3]))
        raise UnsupportedError(
            f"a comparison has the weights {shown} beside the number {_shown(number.constant)}, which {dtype} does not hold, nor a "
            "multiple of them; allowed are numbers that it holds up to a common factor"
        )
    return found


def _shown(value: Fraction) -> str:
    return f"{at_most(value, torch.float64):g}"


def _whole(number: Affine) -> Fraction:
    """The factor that makes the weights whole numbers without a common divisor."""
    weights = number.weights.values()
    factor = Fraction(math.lcm(*(w.denominator for w in weights)))
    return factor / math.gcd(*(int(w * factor) for w in weights))


def _most(dtype: torch.dtype) -> Fraction:
    """A quarter of the largest number of the type: what is rounded there stays within its range."""
    return Fraction(torch.finfo(dtype).max) / 4


def _weights_held(number: Affine, dtype: torch.dtype) -> bool:
    return all(_held(weight, dtype) for weight in number.weights.values())


def _held(weight: Fraction, dtype: torch.dtype) -> bool:
    """True where the type holds the number exactly, as a normal one."""
    limits, near = torch.finfo(dtype), at_most(weight, dtype)
    return math.isfinite(near) and Fraction(near) == weight and abs(weight) >= Fraction(limits.smallest_normal)
