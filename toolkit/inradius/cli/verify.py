"""``inradius verify``."""

import csv
import hashlib
import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from inradius.certifiers.search_states import SearchStates
from inradius.cli import options
from inradius.cli.console import console, is_first, say, table
from inradius.cli.search_line import search_line
from inradius.errors import InputError
from inradius.stored.files import writable_folder, write_atomic
from inradius.verification.competition import result_text
from inradius.verification.instances import Answer, InstanceRun
from inradius.verification.result import EXIT_CODES, VerificationResult
from inradius.verification.verify import DEFAULT_CERTIFIER, DEFAULT_TIMEOUT
from inradius.verification.verify_file import VerifyOptions, verify_file

# the folder of what commands keep
RUNS = Path("inradius-runs")

Network = Annotated[Path | None, typer.Argument(metavar="NET.onnx", help="The network, as an ONNX file.")]
Prop = Annotated[
    Path | None, typer.Argument(metavar="PROP.vnnlib", help="The unsafe set, as a VNN-LIB file, also .gz and .xz.")
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", help="The limit for one property; a file of instances has its own."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="PATH",
        help="A file for the result in the format of VNN-COMP; with --instances a folder for the answers.",
        show_default="none; with --instances a folder in inradius-runs/",
    ),
]
Instances = Annotated[
    Path | None,
    typer.Option(
        "--instances", metavar="FILE", help="Lines of network, property and seconds, instead of NET and PROP."
    ),
]
CertifierOption = Annotated[
    str, typer.Option("--certifier", metavar="SPEC", help="What looks for the proof, as in crown or milp(seconds=30).")
]


def verify(
    network: Network = None,
    prop: Prop = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    out: Out = None,
    instances: Instances = None,
    certifier: CertifierOption = DEFAULT_CERTIFIER,
    claim: options.ClaimOption = "float",
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Draws the starts of the search.")] = 0,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin anew: the search, or with --instances what its folder holds."),
    ] = False,
) -> None:
    """Is an unsafe input possible? Prints unsat (exit code 0), sat with the input (10), unknown (11) or timeout (12)."""
    asked = VerifyOptions(timeout=timeout, certifier=certifier, claim=claim, seed=seed)
    if instances is not None:
        if network is not None:
            raise InputError("NET and --instances are given; allowed is one of them")
        raise typer.Exit(_answer_all(InstanceRun(instances, out or _folder(instances, asked), asked, fresh)))
    if network is None or prop is None:
        raise InputError("no network and property are given; allowed are NET.onnx PROP.vnnlib, or --instances FILE")
    if out is not None:
        _check_file(out)
    states = _states(network, prop, asked, fresh)
    with search_line():
        result = verify_file(network, prop, asked, states)
    text = result_text(result)
    if out is not None:
        write_atomic(out, text.encode())
    say(text.rstrip("\n"))
    print(_told(result), file=sys.stderr)
    raise typer.Exit(EXIT_CODES[result.status])


def _states(network: Path, prop: Path, asked: VerifyOptions, fresh: bool) -> SearchStates:
    """The states of the search for this question, in a file in inradius-runs/ that an answer removes."""
    question = asked.question(network, prop)
    path = RUNS / f"verify-{question[:12]}.search"
    if fresh:
        path.unlink(missing_ok=True)
    states = SearchStates.open(path, question)
    if states.states:
        print(f"the search goes on from {path}; --fresh begins anew", file=sys.stderr)
    return states


def _told(result: VerificationResult) -> str:
    proved = f"proved at level {result.claim}; " if result.claim is not None else ""
    if result.claim is not None and result.status != "unsat":
        proved = f"proved at level {result.claim} alone, which --claim {result.claim} counts; "
    bound = f"lowest bound {result.bound:.4g}; " if result.bound is not None else ""
    return f"{proved}{bound}{result.seconds:.1f} s"


def _check_file(out: Path) -> None:
    """Raises ``InputError`` where the result cannot be written, before anything is computed."""
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; allowed is the name of a file")
    writable_folder(out.parent)


def _folder(instances: Path, asked: VerifyOptions) -> Path:
    """The folder of a file of instances: by default one in inradius-runs/ with a hash of its path and the options."""
    told = f"{instances.resolve()} {asked.certifier} {asked.claim} {asked.seed}"
    return RUNS / f"verify-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _answer_all(run: InstanceRun) -> int:
    """Answers all instances, prints their table, and returns the exit code: 2 where one met an error, else 0."""
    writable_folder(run.folder)
    with search_line():
        answers = list(run.answers())
    made = table("network", "property", "result", "claim")
    for answer in answers:
        made.add_row(answer.network, answer.prop, answer.status, answer.claim)
    console().print(made)
    failed = [answer for answer in answers if answer.status == "error"]
    if is_first():
        write_atomic(run.folder / "results.csv", _csv(answers))
        for answer in failed:
            print(f"error: {answer.told}", file=sys.stderr)
        counts = ", ".join(f"{sum(a.status == s for a in answers)} {s}" for s in EXIT_CODES)
        print(f"{counts}; answers in {run.folder}", file=sys.stderr)
    return 2 if failed else 0


def _csv(answers: list[Answer]) -> bytes:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["network", "property", "result", "claim", "seconds"])
    lines.writerows([a.network, a.prop, a.status, a.claim, f"{a.seconds:.3f}"] for a in answers)
    return text.getvalue().encode()
