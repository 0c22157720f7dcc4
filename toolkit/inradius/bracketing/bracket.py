"""The bracket: attacks above, certifiers below, one report."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.bracketing.budget import Budget, left_over
from inradius.bracketing.example import Example
from inradius.bracketing.flags import run_flags
from inradius.bracketing.ledger import Ledger
from inradius.bracketing.options import DEFAULTS, BracketOptions
from inradius.bracketing.plan import Plan, device_of
from inradius.bracketing.reuse import ReusedResults
from inradius.bracketing.run import BracketRun, bars
from inradius.bracketing.setting import Setting, environment
from inradius.bracketing.store import KeptDeltas, Store
from inradius.certifiers.certificate import Claim
from inradius.certifiers.certifier import Certifier, UnionMode
from inradius.data.as_dataset import as_examples
from inradius.data.dataset import Dataset, Examples
from inradius.errors import InputError
from inradius.models.load import find_device
from inradius.models.modes import frozen
from inradius.outcomes.outcome import Outcome
from inradius.processes import Processes
from inradius.report.pictures import is_picture, shown_rows
from inradius.report.report import Report
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import RUNS


def bracket(
    model: nn.Module,
    data: Examples | Any,
    threat: ThreatModel | str,
    *,
    attacks: Sequence[Attack | str] | Attack | str | None = DEFAULTS.attacks,
    certifiers: Sequence[Certifier | str] | Certifier | str | None = DEFAULTS.certifiers,
    folder: str | Path | None = DEFAULTS.folder,
    fresh: bool = DEFAULTS.fresh,
    audit: float = DEFAULTS.audit,
    exhaustive: bool = DEFAULTS.exhaustive,
    union: UnionMode = DEFAULTS.union,
    batch_size: int = DEFAULTS.batch_size,
    device: torch.device | str | None = DEFAULTS.device,
    seed: int = DEFAULTS.seed,
    optimize_model: bool = DEFAULTS.optimize_model,
    accept_solver: bool = DEFAULTS.accept_solver,
    claim: Claim = DEFAULTS.claim,
    outcome: Outcome | str = DEFAULTS.outcome,
    votes: int | None = DEFAULTS.votes,
    time: float | str | None = DEFAULTS.time,
    progress: bool = DEFAULTS.progress,
    model_name: str | None = DEFAULTS.model_name,
) -> Report:
    """Certified accuracy ≤ robust accuracy ≤ accuracy under attack of a model on a set of examples, as a report.

    ``attacks`` and ``certifiers`` are by default those of the threat model; an empty list runs none. They run in turn, certifiers
    first, and decided examples drop out. A share ``audit`` of the certified examples (at least 32; 0 for none) is attacked all the
    same, and of the broken ones certified; ``exhaustive`` hands every example to every method. ``seed`` draws the audit. A referee
    judges every answer of an attack again. With ``optimize_model`` attacks of a fixed budget ask a quicker copy of the model.
    ``claim`` is the level that a proof must have to count: "float" is a proof about every floating-point execution, "real" also
    counts those about the exact function. A certificate that may fail counts too, and a solver's word with ``accept_solver``.
    ``outcome`` says what counts as broken, by default another prediction than the label, and what labels and outputs are. Of a
    random model the clean pass and the referee take the vote of ``votes`` passes (by default 100), and attacks a mean (``eot``).
    ``union`` certifies a union member by member ("each") or as its convex hull ("hull"). ``time`` is a limit, as in "10m": the
    cheapest methods run first, and a flag says what was left. Results go to ``folder`` (default inradius-runs/<key>) as they come:
    the same call goes on where it stopped, with ``fresh`` it starts again. ``data`` may be what ``as_dataset`` takes, or lazy.
    Processes of ``torchrun`` make this call alike and share the batches. Raises ``ContradictionError`` where an attack gets below
    a proof, which is saved, ``InputError`` and ``SpecError``."""
    options = BracketOptions(
        attacks=attacks,
        certifiers=certifiers,
        folder=folder,
        fresh=fresh,
        audit=audit,
        exhaustive=exhaustive,
        union=union,
        batch_size=batch_size,
        device=device,
        seed=seed,
        optimize_model=optimize_model,
        accept_solver=accept_solver,
        claim=claim,
        outcome=outcome,
        votes=votes,
        time=time,
        progress=progress,
        model_name=model_name,
    )
    return bracket_by(options, model, data, threat)


def bracket_by(
    options: BracketOptions,
    model: nn.Module,
    data: Examples,
    threat: ThreatModel | str,
    reused: ReusedResults | None = None,
    command: str = "",
) -> Report:
    """The report of ``bracket`` by a value of options.

    ``reused`` are results of other radii of a curve; ``command`` is the command line that asks the same, where there is one.
    """
    budget = None if options.time is None else Budget.of(options.time)
    data = as_examples(data)
    if options.device is not None:
        find_device(options.device)
    processes = Processes(options.device, device_of(model))
    with ExitStack() as held:
        # the checks ask the model, which may take long
        begin = held.enter_context(bars(options.progress and processes.main))
        checked = begin("checks", 1)
        # a launcher says where this process computes; without one the plan takes the device asked for, or that of the model
        plan = Plan.of(model, data, threat, options, options.device if processes.count == 1 else processes.device)
        setting = plan.setting(reuse=reused is not None)
        _check_agreement(processes, setting)
        folder = options.folder or RUNS.get() / setting.key[:16]
        # all processes read the folder, and the first one holds it
        store = processes.on_main(lambda: held.enter_context(Store.open(folder, setting, fresh=options.fresh)))
        checked(1)
        ledger = Ledger.of(plan.attacks, plan.certifiers)
        with frozen(plan.model):
            BracketRun(plan, store, ledger, begin, processes, reused, budget).complete()
        return processes.on_main(lambda: _saved(attrs.evolve(_report(plan, setting, store, ledger), command=command)))


def _check_agreement(processes: Processes, setting: Setting) -> None:
    """Raises ``InputError`` where the processes were given different runs."""
    keys = processes.broadcast(set(processes.gather_on_main(setting.key)))
    if len(keys) > 1:
        raise InputError(
            "the processes were given different models, data or methods; allowed is the same call in each, with the same weights"
        )


def _saved(report: Report) -> Report:
    assert report.folder is not None
    report.save(report.folder)
    return report


def _report(plan: Plan, setting: Setting, store: Store, ledger: Ledger) -> Report:
    numbers, labels = plan.data.index.tolist(), plan.options.outcome.classes(plan.data.labels)
    examples = tuple(ledger.example(row, numbers[row], labels[row]) for row in range(plan.size))
    shown = {row: plan.read([row]).inputs[0].cpu().clone() for row in shown_rows(examples)}
    return Report(
        setting=setting,
        examples=examples,
        seconds={name: round(seconds, 6) for name, seconds in ledger.seconds.items()},
        environment=environment(plan.device),
        flags=(*run_flags(plan, ledger), *(() if plan.options.time is None else left_over(plan, ledger))),
        deltas=_deltas(plan, store, ledger, examples),
        inputs={row: x for row, x in shown.items() if is_picture(x)},
        folder=store.folder,
    )


def _deltas(plan: Plan, store: Store, ledger: Ledger, examples: Sequence[Example]) -> Mapping[int, Tensor]:
    """The perturbation (*S) of the attempt that counts, by row; for data on the disk each is read when it is asked for."""
    places = {
        example.row: ledger.place(example.row, example.attempt) for example in examples if example.attempt is not None
    }
    # read later, when this process may work in another folder
    kept = KeptDeltas(attrs.evolve(store, folder=store.folder.absolute()), places)
    return dict(kept) if isinstance(plan.data, Dataset) else kept
