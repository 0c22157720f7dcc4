"""Bounds of single inputs, gathered from comparisons."""

from collections.abc import Callable
from fractions import Fraction

import attrs

from inradius.errors import InputError
from inradius.verification.vnnlib.formulas import Atom
from inradius.verification.vnnlib.normal_form import Conjunction

# a bound and whether it is strict
Side = tuple[Fraction, bool]


@attrs.frozen(eq=False)
class Box:
    """Bounds of inputs by their place: those of ``base``, and tighter ones in ``low`` and ``high``."""

    low: dict[int, Side] = attrs.field(factory=dict)
    high: dict[int, Side] = attrs.field(factory=dict)
    base: "Box | None" = None

    def lowest(self, place: int) -> Side | None:
        """The lower bound of an input."""
        return self.low.get(place) or (self.base.lowest(place) if self.base is not None else None)

    def highest(self, place: int) -> Side | None:
        """The upper bound of an input."""
        return self.high.get(place) or (self.base.highest(place) if self.base is not None else None)

    @property
    def empty(self) -> bool:
        """True where no number lies between the bounds of an input, those of ``base`` alone left out."""
        ends = ((self.lowest(place), self.highest(place)) for place in {*self.low, *self.high})
        return any(
            low and high and (low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))) for low, high in ends
        )

    @property
    def key(self) -> object:
        """Equal for boxes on one base that have equal bounds."""
        return tuple(sorted(self.low.items())), tuple(sorted(self.high.items()))

    def sides(self, count: int) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        """The bounds of all ``count`` inputs. Raises ``InputError`` for an input that has none."""
        return self._values(self.lowest, count, "lower"), self._values(self.highest, count, "upper")

    def _values(self, side: Callable[[int], Side | None], count: int, name: str) -> tuple[Fraction, ...]:
        values = []
        # the count may be far more than the file has bounds
        for place in range(count):
            found = side(place)
            if found is None:
                raise InputError(f"X_{place} has no {name} bound; allowed are inputs with both bounds as numbers")
            values.append(found[0])
        return tuple(values)


def narrowed(atoms: Conjunction, base: Box) -> tuple[Box, tuple[Atom, ...]]:
    """The box within the comparisons of single inputs, and the other comparisons."""
    box, rest = Box(base=base), []
    for atom in atoms:
        weights = atom.number.weights
        variable, weight = next(iter(weights.items()))
        if len(weights) > 1 or variable.output:
            rest.append(atom)
            continue
        constant = atom.number.constant
        side = (-constant if weight == 1 else constant if weight == -1 else -constant / weight, atom.strict)
        if weight > 0:
            if _tighter(side, box.highest(variable.place), 1):
                box.high[variable.place] = side
        elif _tighter(side, box.lowest(variable.place), -1):
            box.low[variable.place] = side
    return box, tuple(rest)


def _tighter(side: Side, than: Side | None, sign: int) -> bool:
    """True where an upper bound (sign 1) or a lower bound (sign −1) is tighter than another."""
    return than is None or sign * side[0] < sign * than[0] or (side[0] == than[0] and side[1] and not than[1])
