"""The question of a command about a model, and its answer."""

import io
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from time import monotonic
from typing import Any

import attrs
import torch
import typer
from torch import nn

from inradius.attacks.attack import Attack
from inradius.bracketing.bracket import bracket_by
from inradius.bracketing.options import BracketOptions
from inradius.bracketing.radius_curve import curve_by
from inradius.bracketing.saved import to_json
from inradius.cli import radii, summary
from inradius.cli.command_line import command_line
from inradius.cli.console import console, is_first, say, waiting
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import InputError
from inradius.models.check import check_forward
from inradius.models.load import load_model
from inradius.models.modes import frozen
from inradius.report import Report
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import write_atomic

# the name of the standard output
STANDARD = "-"


@attrs.frozen
class Printed:
    """The output of a command: the report in short, or nothing where ``quiet``; ``json`` is a file for its numbers, or "-"."""

    json: str | None
    quiet: bool

    @property
    def silent(self) -> bool:
        """True where nothing of the report in short is printed."""
        return self.quiet or self.json == STANDARD

    def begin(self, model: str, data: str) -> None:
        """Prints what the command reads, before plugins, the model or the data load, which may take long."""
        if not self.silent:
            say(f"reading {model} and {data}")


@attrs.frozen
class Given:
    """The arguments that name the question: model, weights, data, count and set, as the command line gives them."""

    model: str
    weights: Path | None
    data: str
    count: int
    threat: str


@attrs.frozen
class Question:
    """The options that ``bracket``, ``attack`` and ``certify`` share; ``options`` are those of ``inradius.bracket``."""

    given: Given
    options: BracketOptions
    printed: Printed
    per_class: bool = attrs.field(kw_only=True)

    def answer(self, command: str, factors: Sequence[float] = (), *, radius: bool = False) -> Report:
        """The report, printed in short; with ``factors`` of the radius also the bracket over it, as a figure.

        ``radius`` adds the radii of the examples; ``command`` is the name of the command that asks. Specs are read before
        anything is loaded, so that an error costs no time.
        """
        if self.printed.json not in (None, STANDARD) and Path(str(self.printed.json)).is_dir():
            raise InputError(
                f"--json {self.printed.json} is a folder; give the name of a file, or - for the standard output"
            )
        with redirect_stdout(io.StringIO()) if self.printed.silent else nullcontext():
            report = self._answer(command, factors, radius)
        if self.printed.json is not None:
            _write_json(report, self.printed.json)
        return report

    def _answer(self, command: str, factors: Sequence[float], radius: bool) -> Report:
        started = monotonic()
        threat = make(self.given.threat, ThreatModel)
        options = self._options(threat)
        # a network without weights starts from the seed, so that the same command asks the same question
        torch.manual_seed(options.seed)
        with waiting(f"reading {self.given.model} and {self.given.data}"):
            model = load_model(self.given.model, self.given.weights, options.device)
            data = make(self.given.data, Dataset)
        chosen = data.take(self.given.count or None)
        if len(chosen):
            first, outcome = chosen.take(1), options.outcome
            check_forward(
                model,
                first,
                lambda outputs: outcome.check_outputs(outputs, outcome.check_labels(first.inputs, first.labels)),
            )
        report = bracket_by(options, model, chosen, threat, command=self._command(command, options))
        seconds, members = monotonic() - started, len(threat.members())
        summary.show(report, of=len(data), seconds=seconds, members=members, classes=self.per_class)
        if factors and report.folder is not None:
            _show_curve(options, model, chosen, threat, factors, report, report.folder / "curve")
        if radius:
            _show_radii(options, model, chosen, threat, report.folder)
        return report

    def _command(self, command: str, options: BracketOptions) -> str:
        return command_line(command, attrs.asdict(self.given), options)

    def _options(self, threat: ThreatModel) -> BracketOptions:
        """The options with the methods of the threat model, the name of the model, and bars on a terminal."""
        name = self.given.model if self.given.weights is None else f"{self.given.model} with {self.given.weights}"
        return attrs.evolve(self.options.for_threat(threat), model_name=name, progress=console().is_terminal)


def _show_curve(
    options: BracketOptions,
    model: nn.Module,
    data: Dataset,
    threat: ThreatModel,
    factors: Sequence[float],
    report: Report,
    folder: Path,
) -> None:
    """Brackets the other radii, prints the bracket over the radius, and draws it."""
    options = attrs.evolve(options, folder=folder)
    reports = curve_by(options, model, data, threat, [1.0, *factors], reports={1.0: report})
    by_factor = dict(zip([1.0, *factors], reports, strict=True))
    summary.show_curve(list(by_factor.values()), list(by_factor), folder / "curve.svg")


def _show_radii(
    options: BracketOptions, model: nn.Module, data: Dataset, threat: ThreatModel, folder: Path | None
) -> None:
    """Finds the radius of each example by the certifiers and the last attack that the threat model names."""
    counted: dict[str, Any] = {
        "accept_solver": options.accept_solver,
        "claim": options.claim,
        "outcome": options.outcome,
    }
    with frozen(model):
        attack = make(threat.default_attacks[-1], Attack)
        below = list(options.certifiers or ())
        found = radii.find(model, data, threat, below, attack, options.batch_size, **counted)
    radii.show(found, threat, data, folder)


def _write_json(report: Report, name: str) -> None:
    """Writes the numbers and the examples of a report to a file, or to the standard output."""
    found = to_json(report, "")
    del found["deltas"]
    write_json(found, name)


def write_json(found: Mapping[str, Any], name: str) -> None:
    """Writes plain values as JSON to a file, or to the standard output where the name is ``STANDARD``."""
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if name != STANDARD:
        write_atomic(Path(name), f"{text}\n".encode())
    elif is_first():
        print(text)


def demand(report: Report, certified: float | None, attacked: float | None = None, *, json: str | None = None) -> None:
    """Ends the program with 1 where the certified accuracy, or that under attack, is below a share."""
    asked = (
        ("certified accuracy", report.lower, certified, "--fail-under"),
        ("accuracy under attack", report.upper, attacked, "--fail-under-attacked"),
    )
    told = [
        f"the {what} {found:.4g} is below {share:.4g}, which {option} asks for"
        for what, found, share, option in asked
        if share is not None and found < share
    ]
    fail(told, json)


def fail(told: Sequence[str], json: str | None) -> None:
    """Says these sentences and ends the program with 1, where there are any.

    They go to the standard output, or beside it where that has the answer as JSON.
    """
    for sentence in told:
        if json == STANDARD:
            print(sentence, file=sys.stderr)
        else:
            say(sentence)
    if told:
        raise typer.Exit(1)
