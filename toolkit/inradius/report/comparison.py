"""Two brackets of the same examples, compared example by example."""

from collections.abc import Callable, Iterator

import attrs

from inradius.bracketing.example import Example
from inradius.bracketing.result import BracketResult
from inradius.errors import InputError

# what an example may be, by the name of the share that counts it
HOLDS: dict[str, Callable[[Example], bool]] = {
    "clean": lambda example: example.status != "wrong",
    "under attack": lambda example: example.status not in ("wrong", "attacked"),
    "certified": lambda example: example.status == "certified",
}
_LISTED = 20


@attrs.frozen
class Change:
    """How one share changed: its values before and after, the numbers of the examples that were gained and lost, and p.

    p: the two-sided p-value of McNemar's exact test. Where only chance decided which way an example changed, changes at least as
    uneven as these have at most this probability. Source: mcnemar1947.
    """

    name: str
    before: float
    after: float
    gained: tuple[int, ...]
    lost: tuple[int, ...]

    @property
    def p(self) -> float:
        """The p-value, 1 where nothing changed."""
        return exact_mcnemar(len(self.gained), len(self.lost))


def exact_mcnemar(gained: int, lost: int) -> float:
    """The two-sided p-value of McNemar's exact test: twice the smaller tail of a fair coin, at most 1."""
    total, fewer = gained + lost, min(gained, lost)
    tail, ways = 0, 1
    for k in range(fewer + 1):
        tail, ways = tail + ways, ways * (total - k) // (k + 1)
    # a quotient of integers is rounded once, also where neither is a number of floating point
    return min(1.0, (2 * tail) / (1 << total)) if total else 1.0


def compare(before: BracketResult, after: BracketResult) -> tuple[Change, ...]:
    """The changes from one report to another, on the same examples and the same set.

    Raises ``InputError`` where the data, the set, the outcome or the level of proofs differ, as shares do not compare then.
    """
    names = {"data_fingerprint": "data", "threat": "sets", "outcome": "outcomes", "claim": "levels (claim)"}
    for field, word in names.items():
        one, other = (getattr(report.setting, field) for report in (before, after))
        if one != other:
            raise InputError(
                f"the two reports have other {word} ({_short(one)} and {_short(other)}); allowed are equal ones"
            )
    # equal data have equal rows; numbers may occur twice
    pairs = list(zip(before.examples, after.examples, strict=True))
    return tuple(_change(name, pairs) for name in HOLDS if name != "certified" or _both(before, after, "certifiers"))


def _both(before: BracketResult, after: BracketResult, kind: str) -> bool:
    return bool(getattr(before.setting, kind)) and bool(getattr(after.setting, kind))


def _short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:12]}…"


def _change(name: str, pairs: list[tuple[Example, Example]]) -> Change:
    holds = HOLDS[name]
    total = len(pairs) or 1
    return Change(
        name,
        sum(holds(old) for old, _ in pairs) / total,
        sum(holds(new) for _, new in pairs) / total,
        tuple(new.index for old, new in pairs if holds(new) and not holds(old)),
        tuple(new.index for old, new in pairs if holds(old) and not holds(new)),
    )


def to_markdown(before: BracketResult, after: BracketResult) -> str:
    """The comparison as Markdown for a pull request."""
    return "\n".join(_lines(before, after))


def _lines(before: BracketResult, after: BracketResult) -> Iterator[str]:
    changes = compare(before, after)
    yield f"Robustness on {len(after.examples)} examples of {after.setting.data}, `{after.setting.threat}`"
    yield ""
    yield "| accuracy | before | after | gained | lost | p (McNemar, exact) |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for each in changes:
        shares = f"{100 * each.before:.1f} % | {100 * each.after:.1f} %"
        yield f"| {each.name} | {shares} | {len(each.gained)} | {len(each.lost)} | {each.p:.2g} |"
    for kind in ("attacks", "certifiers"):
        one, other = (set(getattr(report.setting, kind).values()) for report in (before, after))
        if one != other:
            yield ""
            listed = (f"`{', '.join(sorted(specs)) or 'none'}`" for specs in (one, other))
            yield f"The {kind} differ, so that a change may be theirs: {next(listed)} before, {next(listed)} after."
    for each in changes:
        for word, numbers in (("lost", each.lost), ("gained", each.gained)):
            if numbers:
                rest = f" and {len(numbers) - _LISTED} more" if len(numbers) > _LISTED else ""
                yield ""
                yield f"{each.name}, {word}: examples {', '.join(map(str, numbers[:_LISTED]))}{rest}"
