"""What a command asks about a model, and its answer."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import attrs
import torch
import typer

from inradius.attacks.attack import Attack
from inradius.bracketing.bracket import bracket
from inradius.bracketing.radius_curve import bracket_curve
from inradius.certifiers.certificate import DEFAULT_CLAIM, Claim
from inradius.certifiers.certifier import Certifier, UnionMode
from inradius.cli import radii, summary
from inradius.cli.console import console, say
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.models.check import try_out
from inradius.models.load import load_model
from inradius.models.modes import frozen
from inradius.report import Report
from inradius.sets.threat_model import ThreatModel


@attrs.frozen(kw_only=True)
class Question:
    """The options that ``bracket``, ``attack`` and ``certify`` share."""

    model: str
    weights: Path | None
    data: str
    count: int
    threat: str
    device: str | None
    batch_size: int
    seed: int
    out: Path | None
    fresh: bool
    exhaustive: bool
    per_class: bool
    optimize_model: bool = False
    audit: float = 0.0
    union: UnionMode = "each"
    accept_solver: bool = False
    claim: Claim = DEFAULT_CLAIM

    def answer(
        self,
        attacks: Sequence[str] | None,
        certifiers: Sequence[str] | None,
        factors: Sequence[float] = (),
        *,
        radius: bool = False,
    ) -> Report:
        """The report, printed in short; with ``factors`` of the radius also the bracket over it, as a figure.

        None for attacks or certifiers means those that the threat model names. ``radius`` adds the radii of the examples.

        Specs are read before anything is loaded, so that a slip costs no time.
        """
        started = monotonic()
        threat = make(self.threat, ThreatModel)
        above = [make(spec, Attack) for spec in (threat.default_attacks if attacks is None else attacks)]
        below = [make(spec, Certifier) for spec in (threat.default_certifiers if certifiers is None else certifiers)]
        # a network without weights starts from the seed, so that the same command asks the same question
        torch.manual_seed(self.seed)
        model = load_model(self.model, self.weights, self.device)
        data = make(self.data, Dataset)
        chosen = data.take(self.count or None)
        if len(chosen):
            try_out(model, chosen)
        asked = {"attacks": above, "certifiers": below, **self._options()}
        report = bracket(model, chosen, threat, folder=self.out, **asked)
        seconds, members = monotonic() - started, len(threat.members())
        summary.show(report, of=len(data), seconds=seconds, members=members, classes=self.per_class)
        if factors and report.folder is not None:
            folder, known = report.folder / "curve", {1.0: report}
            reports = bracket_curve(model, chosen, threat, [1.0, *factors], folder=folder, known=known, **asked)
            by_factor = dict(zip([1.0, *factors], reports, strict=True))
            summary.show_curve(list(by_factor.values()), list(by_factor), folder / "curve.svg")
        if radius:
            with frozen(model):
                attack = make(threat.default_attacks[-1], Attack)
                counted: dict[str, Any] = {"accept_solver": self.accept_solver, "claim": self.claim}
                found = radii.find(model, chosen, threat, below, attack, self.batch_size, **counted)
            radii.show(found, threat, chosen, report.folder)
        return report

    def _options(self) -> dict[str, Any]:
        return {
            "fresh": self.fresh,
            "audit": self.audit,
            "union": self.union,
            "exhaustive": self.exhaustive,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "optimize_model": self.optimize_model,
            "accept_solver": self.accept_solver,
            "claim": self.claim,
            "progress": console().is_terminal,
            "model_name": self._model_name,
        }

    @property
    def _model_name(self) -> str:
        return self.model if self.weights is None else f"{self.model} with {self.weights}"


def demand(report: Report, share: float | None) -> None:
    """Ends the program with 1 where the certified accuracy is below ``share``."""
    if share is not None and report.lower < share:
        say(f"the certified accuracy {report.lower:.4g} is below {share:.4g}, which --fail-under asks for")
        raise typer.Exit(1)
