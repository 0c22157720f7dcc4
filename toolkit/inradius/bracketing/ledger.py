"""The results of a run so far, stage by stage and row by row."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from inradius.bracketing.example import Attempt, Example, Verdict

CLEAN, AUDIT = "clean", "audit"
_WITNESS = "witness"


def witness_stage(stage: str) -> str:
    """The name under which the witnesses of a certifier's stage are kept, "certifier N" -> "witness N"."""
    return f"{_WITNESS} {stage.partition(' ')[2]}"


@attrs.define
class Ledger:
    """The results so far, by the name of the stage and the row.

    A stage is named ``clean``, ``attack N`` or ``certifier N``; the witnesses of a certifier are attempts of ``witness N``.
    places: the file of the perturbation of (stage, row), and its place in that file.
    """

    attacks: tuple[str, ...]
    certifiers: tuple[str, ...]
    clean: dict[int, tuple[int | None, float]] = attrs.field(factory=dict)
    attempts: dict[str, dict[int, Attempt]] = attrs.field(factory=dict)
    verdicts: dict[str, dict[int, Verdict]] = attrs.field(factory=dict)
    places: dict[tuple[str, int], tuple[str, int]] = attrs.field(factory=dict)
    seconds: Counter[str] = attrs.field(factory=Counter)
    audited: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    @classmethod
    def of(cls, attacks: Iterable[object], certifiers: Iterable[object]) -> "Ledger":
        """An empty ledger for these methods."""
        above, below = tuple(map(str, attacks)), tuple(map(str, certifiers))
        return cls(
            attacks=above,
            certifiers=below,
            attempts={
                **{f"attack {n}": {} for n in range(len(above))},
                **{f"{_WITNESS} {n}": {} for n in range(len(below))},
            },
            verdicts={f"certifier {n}": {} for n in range(len(below))},
        )

    def enter(self, record: dict[str, Any]) -> None:
        """Enters a record of the run folder; a second time changes no result."""
        stage = record["stage"]
        if stage == AUDIT:
            self.audited = tuple(record["certified"]), tuple(record["broken"])
            return
        columns = [record[name] for name in record["columns"]]
        rows = zip(record["rows"], zip(*columns, strict=True), strict=True)
        for place, (row, values) in enumerate(rows):
            if stage.startswith(_WITNESS) and row in self.attempts[stage]:
                # it was found at another radius, and the audit has asked again
                continue
            self._enter(stage, row, dict(zip(record["columns"], values, strict=True)))
            if "deltas" in record:
                self.places[stage, row] = (record["deltas"], place)
        self.seconds[self.method(stage)] += record["seconds"]
        if _WITNESS in record:
            self.enter(record[_WITNESS])

    def _enter(self, stage: str, row: int, values: dict[str, Any]) -> None:
        if stage == CLEAN:
            self.clean[row] = (values["predicted"], values["margin"])
        elif stage in self.attempts:
            witness = stage.startswith(_WITNESS)
            self.attempts[stage][row] = Attempt(attack=self.method(stage), witness=witness, **values)
        else:
            self.verdicts[stage][row] = Verdict(certifier=self.method(stage), **values)

    def method(self, stage: str) -> str:
        """The spec of a stage's method."""
        kind, _, number = stage.partition(" ")
        known = {"attack": self.attacks, "certifier": self.certifiers, _WITNESS: self.certifiers}
        return known[kind][int(number)] if number else stage

    def place(self, row: int, made: Attempt) -> tuple[str, int]:
        """The file of an attempt's perturbation, and its place in it."""
        stage = (
            f"{_WITNESS} {self.certifiers.index(made.attack)}"
            if made.witness
            else f"attack {self.attacks.index(made.attack)}"
        )
        return self.places[stage, row]

    def done(self, stage: str) -> dict[int, Any]:
        """The answers of a stage, by row."""
        return (
            self.clean if stage == CLEAN else self.attempts[stage] if stage in self.attempts else self.verdicts[stage]
        )

    def example(self, row: int, index: int, label: int | None) -> Example:
        """The example in a row, with every attempt and verdict so far."""
        predicted, margin = self.clean[row]
        return Example(
            row=row,
            index=index,
            label=label,
            predicted=predicted,
            clean_margin=margin,
            attempts=tuple(found[row] for found in self.attempts.values() if row in found),
            verdicts=tuple(found[row] for found in self.verdicts.values() if row in found),
        )

    def certified(self) -> list[int]:
        """The rows that count as certified."""
        return sorted({row for found in self.verdicts.values() for row, verdict in found.items() if verdict.counted})

    def broken(self) -> list[int]:
        """The rows that are misclassified or successfully attacked."""
        wrong = {row for row, (_, margin) in self.clean.items() if not margin > 0}
        return sorted(wrong | {row for found in self.attempts.values() for row, made in found.items() if made.success})

    def undecided(self) -> list[int]:
        """The rows that are neither certified nor broken so far, so that later stages work on them."""
        return sorted(self.clean.keys() - set(self.certified()) - set(self.broken()))

    def rows(self) -> Sequence[int]:
        """The rows that have a clean prediction."""
        return sorted(self.clean)
