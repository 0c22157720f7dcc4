"""The run itself: stage after stage, batch after batch, each batch on the disk before the next."""

import time
from collections.abc import Collection, Iterator

import attrs
from torch import Tensor

from inradius.bracketing import contradiction
from inradius.bracketing.audit import audited
from inradius.bracketing.ledger import AUDIT, Ledger
from inradius.bracketing.plan import Plan
from inradius.bracketing.progress import Begin
from inradius.bracketing.reuse import ReusedResults
from inradius.bracketing.stages import AttackStage, CleanStage, Stage, stages
from inradius.bracketing.store import Record, Store
from inradius.processes import Processes, attempt

Answer = tuple[Record, Tensor | None]


@attrs.frozen(eq=False)
class BracketRun:
    """A job under way: what is asked, where it is kept, what is known, who works on it.

    Each process holds the same ledger, and takes its turn with the batches; the batches are those of one process alone, so
    that their number changes no result, and only the main process writes.
    """

    job: Plan
    store: Store
    ledger: Ledger
    begin: Begin
    team: Processes
    known: ReusedResults

    def complete(self) -> None:
        """Does what is left to do: the clean pass, what is known already, the methods on the open examples, the audit."""
        self._resume()
        everything = range(self.job.size)
        self._run(CleanStage(), everything)
        for known in self.known.stages(self.job):
            self._run(known, [row for row in self.ledger.undecided() if row in known.rows])
        for stage in stages(self.job):
            self._run(stage, everything if self.job.exhaustive else self.ledger.undecided())
        if not self.job.exhaustive:
            self._audit()

    def _resume(self) -> None:
        for record in self.team.on_main(lambda: list(self.store.records())):
            self.ledger.enter(record)
        self.team.on_main(lambda: contradiction.check(self.job, self.store, self.ledger, self.ledger.rows()))

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
            record: Record = {"stage": AUDIT, **chosen}
            self.team.on_main(lambda: self.store.append(record))
            self.ledger.enter(record)
        assert self.ledger.audited is not None
        return self.ledger.audited

    def _run(self, stage: Stage, rows: Collection[int]) -> None:
        done = self.ledger.done(stage.name)
        left = [row for row in rows if row not in done]
        if not left:
            return
        advance = self.begin(stage.title, len(left))
        for batches in _rounds(left, self.job.batch_size, self.team.count):
            self._answer_round(stage, batches)
            advance(sum(map(len, batches)))

    def _answer_round(self, stage: Stage, batches: list[list[int]]) -> None:
        """One batch for each process; their answers are on the disk and in every ledger afterwards."""
        rank = self.team.rank
        mine = batches[rank] if rank < len(batches) else []
        answers = self.team.gather_on_main(attempt(lambda: self._answer(stage, mine)))
        records = self.team.on_main(lambda: [self._keep(answer) for answer in _successes(answers)])
        if not self.team.main:
            for record in records:
                self.ledger.enter(record)

    def _answer(self, stage: Stage, rows: list[int]) -> Answer | None:
        if not rows:
            return None
        start = time.perf_counter()
        found = stage.answer(self.job, rows)
        plain = found.plain()
        seconds = round(time.perf_counter() - start, 6)
        record = {"stage": stage.name, "rows": list(found.rows), "seconds": seconds, "columns": list(plain), **plain}
        return record, None if found.delta is None else found.delta.cpu()

    def _keep(self, answer: Answer) -> Record:
        """The record of a batch, on the disk, in the ledger, and not in contradiction to what was known."""
        record, delta = answer
        if delta is not None and record["rows"]:
            record = {**record, "deltas": self.store.keep_deltas(record["stage"], record["rows"], delta)}
        self.store.append(record)
        self.ledger.enter(record)
        contradiction.check(self.job, self.store, self.ledger, record["rows"])
        return record


def _successes(answers: list[tuple[Answer | None, Exception | None]]) -> Iterator[Answer]:
    """The answers in their order, until the error that one process met is raised."""
    for answer, error in answers:
        if error is not None:
            raise error
        if answer is not None:
            yield answer


def _rounds(rows: list[int], size: int, processes: int) -> Iterator[list[list[int]]]:
    """Batches of at most ``size`` rows, as many at once as there are processes."""
    batches = [rows[first : first + size] for first in range(0, len(rows), size)]
    for first in range(0, len(batches), processes):
        yield batches[first : first + processes]
