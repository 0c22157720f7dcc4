"""A formula as an OR of ANDs of comparisons, with a stated limit on their number."""

from inradius.errors import UnsupportedError
from inradius.verification.vnnlib.formulas import All, Atom, Either, Formula

# the most ANDs that a formula may have; the largest files of competitions have some hundreds
LIMIT = 10_000

Conjunction = tuple[Atom, ...]


def normal_form(formula: Formula) -> tuple[Conjunction, list[Conjunction]]:
    """(common, ways): the formula holds where all of ``common`` hold and all comparisons of one of the ``ways`` do.

    Raises ``UnsupportedError`` for more than 10,000 ways.
    """
    common: list[Atom] = []
    others: list[Formula] = []
    _sort(formula, common, others)
    ways: list[Conjunction] = [()]
    for part in others:
        ways = _product(ways, _ways(part))
    return tuple(common), ways


def _sort(formula: Formula, common: list[Atom], others: list[Formula]) -> None:
    match formula:
        case Atom():
            common.append(formula)
        case All(parts):
            for part in parts:
                _sort(part, common, others)
        case Either():
            others.append(formula)


def _ways(formula: Formula) -> list[Conjunction]:
    match formula:
        case Atom():
            return [(formula,)]
        case Either(parts):
            found = [way for part in parts for way in _ways(part)]
            _check(len(found))
            return found
        case All():
            common, ways = normal_form(formula)
            return [(*common, *way) for way in ways]


def _product(left: list[Conjunction], right: list[Conjunction]) -> list[Conjunction]:
    _check(len(left) * len(right))
    return [(*one, *other) for one in left for other in right]


def _check(count: int) -> None:
    if count > LIMIT:
        raise UnsupportedError(
            f"the property has more than {LIMIT:,} cases once its ORs are multiplied out; allowed are as many"
        )
