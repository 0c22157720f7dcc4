"""The bracket: attacks above, certifiers below, one report."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from inradius.attack import Attack
from inradius.bracketing.environment import environment
from inradius.bracketing.job import Job
from inradius.bracketing.ledger import Ledger
from inradius.bracketing.progress import bars
from inradius.bracketing.store import Store
from inradius.bracketing.work import Work
from inradius.certifier import Certifier, Parts
from inradius.data import Dataset
from inradius.modes import frozen
from inradius.report import Example, Report, Setting
from inradius.report.gallery import chosen
from inradius.report.pictures import is_picture
from inradius.threat import ThreatModel


def bracket(
    model: nn.Module,
    data: Dataset,
    threat: ThreatModel | str,
    *,
    attacks: Sequence[Attack | str] | Attack | str,
    certifiers: Sequence[Certifier | str] | Certifier | str,
    folder: str | Path | None = None,
    fresh: bool = False,
    audit: float = 0.1,
    exhaustive: bool = False,
    parts: Parts = "each",
    batch_size: int = 128,
    device: torch.device | str | None = None,
    seed: int = 0,
    progress: bool = False,
    model_name: str | None = None,
) -> Report:
    """Certified accuracy ≤ robust accuracy ≤ accuracy under attack of a model on a set of examples, as a report.

    Misclassified examples count as broken. The methods run in turn, first certifier, first attack, second certifier and so
    on, so list cheap ones first; a decided example drops out. A share ``audit`` of the certified examples (at least 32; 0
    for none) is attacked all the same, and of the broken ones certified; ``exhaustive`` hands every example to every method.
    ``seed`` draws the audit; attacks have seeds of their own. Results go to ``folder`` (default inradius-runs/<key>) as they
    come: the same call after a kill goes on where it stopped, with ``fresh`` it starts again.

    Raises ``ContradictionError``, saved in the folder, where an attack gets below a proved margin; ``InputError`` for a
    model, data or a folder that are not what they must be; ``SpecError`` for a spec that names nothing.
    """
    options = {"parts": parts, "audit": audit, "exhaustive": exhaustive, "seed": seed, "batch_size": batch_size}
    job = Job.of(model, data, threat, attacks, certifiers, device, **options)
    setting = job.setting(model_name)
    place = Path(folder) if folder is not None else Path("inradius-runs") / setting.key[:16]
    with Store.open(place, setting, fresh=fresh) as store:
        return _answer(job, setting, store, progress)


def _answer(job: Job, setting: Setting, store: Store, progress: bool) -> Report:
    """The finished report, saved in the run folder."""
    ledger = Ledger.of(job.attacks, job.certifiers)
    with frozen(job.model), bars(progress) as begin:
        Work(job, store, ledger, begin).complete()
    report = _report(job, setting, store, ledger)
    report.save(store.folder)
    return report


def _report(job: Job, setting: Setting, store: Store, ledger: Ledger) -> Report:
    numbers, labels = job.data.index.tolist(), job.data.labels.tolist()
    examples = tuple(ledger.example(row, numbers[row], labels[row]) for row in range(len(job.data)))
    rows = [row for row in chosen(examples) if is_picture(job.data.inputs[row])]
    return Report(
        setting=setting,
        examples=examples,
        seconds={name: round(seconds, 6) for name, seconds in ledger.seconds.items()},
        environment=environment(job.device),
        deltas=dict(_deltas(store, ledger, examples)),
        inputs={row: job.data.inputs[row].cpu().clone() for row in rows},
        folder=store.folder,
    )


def _deltas(store: Store, ledger: Ledger, examples: Sequence[Example]) -> Iterator[tuple[int, Tensor]]:
    """The perturbation of the attempt that counts, by row."""
    for example in examples:
        if example.attempt is not None:
            stage = f"attack {ledger.attacks.index(example.attempt.attack)}"
            yield example.row, store.delta(*ledger.places[stage, example.row])
