"""The run itself: stage after stage, batch after batch, each batch on the disk before the next."""

import time
from collections.abc import Collection, Iterator

import attrs

from inradius.bracketing import contradiction
from inradius.bracketing.audit import audited
from inradius.bracketing.job import Job
from inradius.bracketing.ledger import AUDIT, Ledger
from inradius.bracketing.progress import Begin
from inradius.bracketing.stages import AttackStage, CleanStage, Stage, plain, stages
from inradius.bracketing.store import Record, Store


@attrs.frozen(eq=False)
class Work:
    """A job under way: what is asked, where it is kept, what is known."""

    job: Job
    store: Store
    ledger: Ledger
    begin: Begin

    def complete(self) -> None:
        """Does what is left to do: the clean pass, the methods on the open examples, the audit of the decided ones."""
        for record in self.store.records():
            self.ledger.enter(record)
        contradiction.check(self.job, self.store, self.ledger, self.ledger.rows())
        everything = range(len(self.job.data))
        self._run(CleanStage(), everything)
        for stage in stages(self.job):
            self._run(stage, everything if self.job.exhaustive else self.ledger.undecided())
        if not self.job.exhaustive:
            self._audit()

    def _audit(self) -> None:
        certified, broken = self._choice()
        for stage in stages(self.job):
            self._run(stage, certified if isinstance(stage, AttackStage) else broken)

    def _choice(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The certified and the broken rows to audit, recorded before the audit adds to either."""
        if self.ledger.audited is None:
            groups = {"certified": self.ledger.certified(), "broken": self.ledger.broken()}
            job = self.job
            chosen = {name: audited(rows, job.data.index, job.seed, job.audit) for name, rows in groups.items()}
            self._enter({"stage": AUDIT, **chosen})
        assert self.ledger.audited is not None
        return self.ledger.audited

    def _run(self, stage: Stage, rows: Collection[int]) -> None:
        done = self.ledger.done(stage.name)
        left = [row for row in rows if row not in done]
        if not left:
            return
        advance = self.begin(stage.title, len(left))
        for batch in _batches(left, self.job.batch_size):
            self._enter(self._answer(stage, batch))
            contradiction.check(self.job, self.store, self.ledger, batch)
            advance(len(batch))

    def _answer(self, stage: Stage, rows: list[int]) -> Record:
        start = time.perf_counter()
        columns, delta = stage.answer(self.job, self.job.batch(rows))
        found = plain(columns)
        seconds = round(time.perf_counter() - start, 6)
        record: Record = {"stage": stage.name, "rows": rows, "seconds": seconds, "columns": list(found), **found}
        if delta is not None:
            record["deltas"] = self.store.keep_deltas(stage.name, rows, delta)
        return record

    def _enter(self, record: Record) -> None:
        self.store.append(record)
        self.ledger.enter(record)


def _batches(rows: list[int], size: int) -> Iterator[list[int]]:
    for first in range(0, len(rows), size):
        yield rows[first : first + size]
