"""The bracket: attacks above, certifiers below, one report."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inradius.arguments import check_flag, told
from inradius.attacks.attack import Attack
from inradius.bracketing.environment import environment
from inradius.bracketing.ledger import Ledger
from inradius.bracketing.plan import Plan, home
from inradius.bracketing.progress import bars
from inradius.bracketing.reuse import ReusedResults
from inradius.bracketing.run import BracketRun
from inradius.bracketing.run_flags import flags
from inradius.bracketing.store import KeptDeltas, Store
from inradius.certifiers.certificate import DEFAULT_CLAIM, Claim
from inradius.certifiers.certifier import Certifier, UnionMode
from inradius.data.dataset import Dataset, Examples
from inradius.errors import InputError
from inradius.models.load import find_device
from inradius.models.modes import frozen
from inradius.processes import Processes
from inradius.report import Example, Report, Setting
from inradius.report.gallery import chosen
from inradius.report.pictures import is_picture
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import as_folder


def bracket(
    model: nn.Module,
    data: Examples,
    threat: ThreatModel | str,
    *,
    attacks: Sequence[Attack | str] | Attack | str,
    certifiers: Sequence[Certifier | str] | Certifier | str,
    folder: str | Path | None = None,
    fresh: bool = False,
    audit: float = 0.1,
    exhaustive: bool = False,
    union: UnionMode = "each",
    batch_size: int = 128,
    device: torch.device | str | None = None,
    seed: int = 0,
    optimize_model: bool = False,
    accept_solver: bool = False,
    claim: Claim = DEFAULT_CLAIM,
    progress: bool = False,
    model_name: str | None = None,
) -> Report:
    """Certified accuracy ≤ robust accuracy ≤ accuracy under attack of a model on a set of examples, as a report.

    Misclassified examples count as broken. The methods run in turn, first certifier, first attack, second certifier and so
    on, so list cheap ones first; a decided example drops out. A share ``audit`` of the certified examples (at least 32; 0
    for none) is attacked all the same, and of the broken ones certified; ``exhaustive`` hands every example to every method.
    ``seed`` draws the audit; attacks have seeds of their own. Every answer of an attack is judged again by a referee. With
    ``optimize_model`` attacks of a fixed budget ask a copy of the model that computes the same in less time, and the referee
    asks the model itself. ``claim`` is the level that a proof must have to count: "float" is one about every floating-point
    execution of the model, "real" also counts those about its exact function; each example has the strongest level at which
    it was proved. A certificate that may fail counts with its stated probability, and a solver's word, which is no proof,
    with ``accept_solver`` alone. Results go to ``folder`` (default inradius-runs/<key>) as they come: the same call after a
    kill goes on where it stopped, with ``fresh`` it starts again. ``data`` that do not fit in memory are a ``LazyDataset``. Where
    ``torchrun`` or ``accelerate launch`` started several processes, each makes this call, takes its share of the batches
    and gets the same report.

    Raises ``ContradictionError``, saved in the folder, where an attack gets below a proved margin; ``InputError`` for a
    model, data or a folder that are not what they must be; ``SpecError`` for a spec that names nothing.
    """
    return bracket_knowing(
        model,
        data,
        threat,
        None,
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
        progress=progress,
        model_name=model_name,
    )


def bracket_knowing(
    model: nn.Module,
    data: Examples,
    threat: ThreatModel | str,
    known: ReusedResults | None,
    *,
    attacks: Sequence[Attack | str] | Attack | str,
    certifiers: Sequence[Certifier | str] | Certifier | str,
    folder: str | Path | None = None,
    fresh: bool = False,
    audit: float = 0.1,
    exhaustive: bool = False,
    union: UnionMode = "each",
    batch_size: int = 128,
    device: torch.device | str | None = None,
    seed: int = 0,
    optimize_model: bool = False,
    accept_solver: bool = False,
    claim: Claim = DEFAULT_CLAIM,
    progress: bool = False,
    model_name: str | None = None,
) -> Report:
    """``bracket`` with what other radii of a curve have decided, or None where there is no curve."""
    options: dict[str, Any] = {
        "union": union,
        "audit": audit,
        "exhaustive": exhaustive,
        "seed": seed,
        "batch_size": batch_size,
    }
    options |= {"optimize_model": optimize_model, "accept_solver": accept_solver, "claim": claim}
    _check_files(folder, fresh, progress, model_name)
    if device is not None:
        find_device(device)
    crew = Processes(device, home(model))
    # a launcher says where this process computes; without one the plan takes the device asked for, or that of the model
    here = device if crew.count == 1 else crew.device
    job = Plan.of(model, data, threat, attacks, certifiers, here, **options)
    setting = job.setting(model_name, reuse=known is not None)
    _check_agreement(crew, setting)
    place = Path(folder) if folder is not None else Path("inradius-runs") / setting.key[:16]
    with ExitStack() as held:
        # all processes know the folder, and the first holds it
        store = crew.on_main(lambda: held.enter_context(Store.open(place, setting, fresh=fresh)))
        ledger = Ledger.of(job.attacks, job.certifiers)
        with frozen(job.model), bars(progress and crew.main) as begin:
            BracketRun(job, store, ledger, begin, crew, known or ReusedResults()).complete()
        return crew.on_main(lambda: _saved(_report(job, setting, store, ledger), store))


def _check_files(folder: object, fresh: object, progress: object, model_name: object) -> None:
    """Raises ``InputError`` for what says nothing of the question itself, where it is wrong."""
    check_flag(fresh, "fresh")
    check_flag(progress, "progress")
    if folder is not None:
        as_folder(folder)
    if model_name is not None and not isinstance(model_name, str):
        raise InputError(f"model_name is {told(model_name)}; allowed is a string, or None for the name of the class")


def _check_agreement(crew: Processes, setting: Setting) -> None:
    """Raises ``InputError`` where the processes do not have the same run before them."""
    keys = crew.broadcast(set(crew.gather_on_main(setting.key)))
    if len(keys) > 1:
        raise InputError(
            "the processes were given different models, data or methods; allowed is the same call in each, with the same weights"
        )


def _saved(report: Report, store: Store) -> Report:
    report.save(store.folder)
    return report


def _report(job: Plan, setting: Setting, store: Store, ledger: Ledger) -> Report:
    numbers, labels = job.data.index.tolist(), job.data.labels.tolist()
    examples = tuple(ledger.example(row, numbers[row], labels[row]) for row in range(job.size))
    shown = {row: job.read([row]).inputs[0].cpu().clone() for row in chosen(examples)}
    return Report(
        setting=setting,
        examples=examples,
        seconds={name: round(seconds, 6) for name, seconds in ledger.seconds.items()},
        environment=environment(job.device),
        flags=flags(job, ledger),
        deltas=_deltas(job, store, ledger, examples),
        inputs={row: x for row, x in shown.items() if is_picture(x)},
        folder=store.folder,
    )


def _deltas(job: Plan, store: Store, ledger: Ledger, examples: Sequence[Example]) -> Mapping[int, Tensor]:
    """The perturbation of the attempt that counts, by row; those of data that are not in memory stay on the disk."""
    places = {
        example.row: ledger.places[f"attack {ledger.attacks.index(example.attempt.attack)}", example.row]
        for example in examples
        if example.attempt is not None
    }
    kept = KeptDeltas(store, places)
    return dict(kept) if isinstance(job.data, Dataset) else kept
