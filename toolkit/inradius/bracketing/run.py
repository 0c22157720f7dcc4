"""The run of a plan: stage after stage, batch after batch, each batch on the disk before the next."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor

from inradius.bracketing import contradiction, smaller
from inradius.bracketing.budget import Budget
from inradius.bracketing.ledger import AUDIT, CLEAN, Ledger, witness_stage
from inradius.bracketing.plan import Plan
from inradius.bracketing.reuse import ReusedResults
from inradius.bracketing.stages import AttackStage, CleanStage, Findings, Stage, stages
from inradius.bracketing.store import Record, Store
from inradius.models.memory import of_memory
from inradius.processes import Processes, attempt
from inradius.rng import ExampleRNG

# a stage opens its progress bar with its title and its total, and moves it on by a count
Advance = Callable[[int], None]
Begin = Callable[[str, int], Advance]
# the record of a batch, its perturbations, and those of its witnesses
Answer = tuple[Record, Tensor | None, Tensor | None]

# the audit takes at least this many examples: with fewer it seldom meets a method that is wrong on a few per cent of the
# examples, 0.95 ** 32 = 0.19
LEAST = 32
# a branch of the random numbers for the audit, so that no attack with the same seed draws them
_BRANCH = 0x5EED


def audited(rows: Sequence[int], index: Tensor, seed: int, share: float) -> list[int]:
    """A random part of ``rows``, ascending: each with probability ``share``, and at least 32 (or all); none where it is 0.

    ``index`` numbers all examples of the data. An example's number and the seed alone decide; batches and
    their order do not matter.
    """
    if share == 0 or not rows:
        return []
    chosen = torch.tensor(rows, dtype=torch.int64)
    draw = ExampleRNG(seed, index.cpu()[chosen]).fork(_BRANCH).uniform()
    count = max(LEAST, int((draw < share).sum()))
    return sorted(chosen[draw.argsort(stable=True)[:count]].tolist())


@attrs.frozen(eq=False)
class BracketRun:
    """A run of a plan: the plan, the folder, the results so far, and the processes that share the batches.

    Each process holds the same ledger and takes its turn with the batches. The batches are those of one process alone, so
    that the number of processes changes no result. Only the main process writes.
    """

    plan: Plan
    store: Store
    ledger: Ledger
    begin: Begin
    processes: Processes
    reused: ReusedResults | None
    budget: Budget | None = None
    # the rows at once that a stage had memory for, where it had not enough for a batch
    fitting: dict[str, int] = attrs.field(factory=dict)

    def complete(self) -> None:
        """Runs what is left: the clean pass, the results of other radii, the methods on undecided examples, the audit."""
        self._resume()
        everything = range(self.plan.size)
        self._run(CleanStage(), everything)
        for reused in self.reused.stages(self.plan) if self.reused is not None else ():
            self._run(reused, [row for row in self.ledger.undecided() if row in reused.rows])
        for stage in self._ordered():
            self._run(stage, everything if self.plan.options.exhaustive else self.ledger.undecided())
        if not self.plan.options.exhaustive and self._size(AUDIT):
            self._audit()

    def _ordered(self) -> list[Stage]:
        """The stages in their order; with a budget from the cheapest on, after each has met two undecided examples, one by one."""
        found = list(stages(self.plan))
        budget = self.budget
        if budget is None:
            return found
        for stage in found * 2:
            done = self.ledger.done(stage.name)
            self._run(stage, [row for row in self.ledger.undecided() if row not in done][:1])
        costs = self.processes.broadcast(budget.costs)
        return sorted(found, key=lambda stage: costs.get(stage.name, 0.0))

    def _size(self, stage: str) -> int:
        """The number of examples for the next batch of a stage; 0 where the time is up."""
        most, budget = self.plan.options.batch_size, self.budget
        # without the clean pass there is no report
        if budget is None or stage == CLEAN:
            return most
        return self.processes.on_main(lambda: budget.size(stage, most))

    def _resume(self) -> None:
        for record in self.processes.on_main(lambda: list(self.store.records())):
            self.ledger.enter(record)
        self.processes.on_main(lambda: contradiction.check(self.plan, self.store, self.ledger, self.ledger.rows()))

    def _audit(self) -> None:
        certified, broken = self._choice()
        for stage in stages(self.plan):
            self._run(stage, certified if isinstance(stage, AttackStage) else broken)

    def _choice(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The certified and the broken rows to audit, recorded before the audit adds to either."""
        if self.ledger.audited is None:
            groups = {"certified": self.ledger.certified(), "broken": self.ledger.broken()}
            index, options = self.plan.data.index, self.plan.options
            chosen = {name: audited(rows, index, options.seed, options.audit) for name, rows in groups.items()}
            record: Record = {"stage": AUDIT, **chosen}
            self.processes.on_main(lambda: self.store.append(record))
            self.ledger.enter(record)
        assert self.ledger.audited is not None
        return self.ledger.audited

    def _run(self, stage: Stage, rows: Collection[int]) -> None:
        done = self.ledger.done(stage.name)
        left = [row for row in rows if row not in done]
        if not left:
            return
        advance = self.begin(stage.title, len(left))
        while left and (size := self._size(stage.name)):
            taken, left = left[: size * self.processes.count], left[size * self.processes.count :]
            self._answer_round(stage, [taken[first : first + size] for first in range(0, len(taken), size)])
            advance(len(taken))

    def _answer_round(self, stage: Stage, batches: list[list[int]]) -> None:
        """One batch for each process; their answers are on the disk and in every ledger afterwards."""
        rank = self.processes.rank
        mine = batches[rank] if rank < len(batches) else []
        answers = self.processes.gather_on_main(attempt(lambda: self._answer(stage, mine)))
        records = self.processes.on_main(lambda: [self._keep(answer) for answer in _successes(answers)])
        if not self.processes.main:
            for record in records:
                self.ledger.enter(record)

    def _answer(self, stage: Stage, rows: list[int]) -> Answer | None:
        if not rows:
            return None
        start = time.perf_counter()
        found = self._found(stage, rows)
        seconds, witnesses = round(time.perf_counter() - start, 6), found.witnesses
        record = _record(stage.name, found, seconds)
        if witnesses is None:
            return record, _on_cpu(found.delta), None
        record["witness"] = _record(witness_stage(stage.name), witnesses, 0.0)
        return record, _on_cpu(found.delta), _on_cpu(witnesses.delta)

    def _found(self, stage: Stage, rows: list[int]) -> Findings:
        """The answers of a stage, in one batch or in parts that there is memory for."""
        if stage.name not in self.fitting:
            try:
                return stage.answer(self.plan, rows)
            except Exception as error:
                if not of_memory(error):
                    raise
        return smaller.answer(stage, self.plan, rows, self.fitting)

    def _keep(self, answer: Answer) -> Record:
        """The record of a batch, on the disk, in the ledger, and checked for a contradiction to the results so far."""
        record, delta, witness = answer
        record = self._with_deltas(record, delta)
        if "witness" in record:
            record["witness"] = self._with_deltas(record["witness"], witness)
        self.store.append(record)
        self.ledger.enter(record)
        if self.budget is not None:
            self.budget.costs[record["stage"]] = record["seconds"] / len(record["rows"])
        contradiction.check(self.plan, self.store, self.ledger, record["rows"])
        return record

    def _with_deltas(self, record: Record, delta: Tensor | None) -> Record:
        """The record with the name of the file to which its perturbations were written."""
        if delta is None or not record["rows"]:
            return record
        return {**record, "deltas": self.store.keep_deltas(record["stage"], record["rows"], delta)}


def _record(stage: str, found: Findings, seconds: float) -> Record:
    plain = found.plain()
    return {"stage": stage, "rows": list(found.rows), "seconds": seconds, "columns": list(plain), **plain}


def _on_cpu(delta: Tensor | None) -> Tensor | None:
    return None if delta is None else delta.cpu()


def _successes(answers: list[tuple[Answer | None, Exception | None]]) -> Iterator[Answer]:
    """The answers in their order, until the error that one process met is raised."""
    for answer, error in answers:
        if error is not None:
            raise error
        if answer is not None:
            yield answer


@contextmanager
def bars(shown: bool) -> Iterator[Begin]:
    """``begin(title, total)`` opens a bar and gives the function that moves it on; nothing is drawn unless ``shown``."""
    if not shown:
        yield lambda title, total: lambda count: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:

        def begin(title: str, total: int) -> Advance:
            task = progress.add_task(title, total=total)
            return lambda count: progress.advance(task, count)

        yield begin
