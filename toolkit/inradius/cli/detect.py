"""``inradius detect``."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from inradius.bracketing.options import DEFAULTS
from inradius.certifiers.certificate import MEANING, weaker
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.detection import Detection
from inradius.certifiers.detection import detect as detect_batch
from inradius.cli import options
from inradius.cli.console import say
from inradius.cli.question import STANDARD, fail, write_json
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import InputError
from inradius.models.load import load_model
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import write_atomic

# so many flagged inputs are listed by their numbers
_LISTED = 20

OneCertifier = Annotated[
    str | None,
    typer.Option(
        "--certifier",
        metavar="SPEC",
        help="What proves predictions, as in crown or certifier_cascade(interval, crown).",
        show_default="the last one that the threat model names",
    ),
]
Table = Annotated[
    Path | None, typer.Option("--out", metavar="FILE.csv", help="A row for each input: number, prediction, flagged.")
]
FailOver = Annotated[
    float | None,
    typer.Option("--fail-over", min=0, max=1, metavar="SHARE", help="Exit with 1 where a larger share is flagged."),
]


def detect(
    model: options.Model = options.MODEL,
    weights: options.Weights = None,
    data: options.Data = options.DATA,
    count: options.Count = options.COUNT,
    threat: options.Threat = options.THREAT,
    certifier: OneCertifier = None,
    device: options.Device = None,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    accept_solver: options.AcceptSolver = DEFAULTS.accept_solver,
    claim: options.ClaimOption = DEFAULTS.claim,
    out: Table = None,
    fail_over: FailOver = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Flag the inputs that may be adversarial: those whose prediction is not certified. Labels play no part.

    No adversarial input passes: where x and x + δ, with δ in the set, have different predictions, x + δ is flagged. The set must
    be symmetric. Inputs close to a decision boundary are flagged as well.
    """
    the_set = make(threat, ThreatModel)
    proof = make(certifier or the_set.default_certifiers[-1], Certifier)
    network, examples = load_model(model, weights, device), make(data, Dataset).take(count or None)
    if not len(examples):
        raise InputError(f"{examples.name} has no examples; at least one is needed")
    place = next((tensor.device for tensor in network.state_dict().values()), torch.device("cpu"))
    batches = [
        detect_batch(network, part.inputs, the_set, proof, index=part.index, accept_solver=accept_solver, claim=claim)
        for part in examples.to(place).batches(batch_size)
    ]
    whole = _joined(batches)
    rows = list(_rows(examples, whole))
    if out is not None:
        write_atomic(out, _csv(rows).encode())
    if json is not None:
        asked: dict[str, Any] = {
            "model": model,
            "data": examples.name,
            "threat": the_set.spec(full=True),
            "claim": claim,
        }
        asked["certifier"] = proof.spec(full=True)
        asked["failure_probability"] = whole.failure_probability
        write_json({**asked, "flagged": int(whole.flagged.sum()), "inputs": rows}, json)
    if not quiet and json != STANDARD:
        for line in _lines(model, examples, str(the_set), str(proof), claim, whole):
            say(line)
    share = float(whole.flagged.double().mean())
    if fail_over is not None and share > fail_over:
        fail([f"the flagged share {share:.4g} is above {fail_over:.4g}, which --fail-over asks for"], json)


def _joined(batches: Sequence[Detection]) -> Detection:
    """The answers for consecutive batches as one, on the CPU."""
    predicted, flagged, weak = (
        torch.cat([getattr(each, name) for each in batches]).cpu() for name in ("predicted", "flagged", "weaker")
    )
    return Detection(predicted, flagged, weak, max(each.failure_probability for each in batches))


def _rows(examples: Dataset, found: Detection) -> Iterator[dict[str, Any]]:
    for index, predicted, flagged in zip(
        examples.index.tolist(), found.predicted.tolist(), found.flagged.tolist(), strict=True
    ):
        yield {"index": index, "predicted": predicted, "flagged": flagged}


def _lines(model: str, examples: Dataset, threat: str, certifier: str, claim: str, found: Detection) -> Iterator[str]:
    flagged = examples.index.cpu()[found.flagged].tolist()
    total, passed = len(examples), len(examples) - len(flagged)
    yield f"model    {model}"
    yield f"inputs   {total} of {examples.name}"
    yield f"threat   {threat}, certified by {certifier}"
    yield f"claim    {claim}, {MEANING[claim]}"
    yield ""
    yield f"flagged  {len(flagged)} of {total}, which may be adversarial: their prediction is not certified"
    yield f"passed   {passed} of {total}, which no input with another prediction has in its set"
    if flagged:
        rest = f" and {len(flagged) - _LISTED} more" if len(flagged) > _LISTED else ""
        yield f"numbers  {', '.join(map(str, flagged[:_LISTED]))}{rest}"
    if chance := found.failure_probability:
        yield f"chance   each certificate is wrong with a probability of at most {chance:.2g}"
    if count := int(found.weaker.sum()):
        yield weaker(count, "--claim real")


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["index", "predicted", "flagged"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "flagged": int(row["flagged"])} for row in rows)
    return text.getvalue()
