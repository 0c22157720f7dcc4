"""What a command asks about a model, and its answer."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import attrs
import torch
import typer

from inradius.attack import Attack
from inradius.certifier import Certifier
from inradius.cli import summary
from inradius.cli.console import console, say
from inradius.data import Dataset
from inradius.evaluate import bracket
from inradius.models import load_model, try_out
from inradius.registry import make
from inradius.report import Report
from inradius.threat import ThreatModel


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
    audit: float = 0.0

    def answer(self, attacks: Sequence[str], certifiers: Sequence[str]) -> Report:
        """The report, printed in short. Specs are read before anything is loaded, so that a slip costs no time."""
        started = monotonic()
        threat = make(self.threat, ThreatModel)
        above, below = [make(spec, Attack) for spec in attacks], [make(spec, Certifier) for spec in certifiers]
        # a network without weights starts from the seed, so that the same command asks the same question
        torch.manual_seed(self.seed)
        model = load_model(self.model, self.weights, self.device)
        data = make(self.data, Dataset)
        chosen = data.take(self.count or None)
        if len(chosen):
            try_out(model, chosen)
        report = bracket(
            model,
            chosen,
            threat,
            attacks=above,
            certifiers=below,
            folder=self.out,
            fresh=self.fresh,
            audit=self.audit,
            exhaustive=self.exhaustive,
            batch_size=self.batch_size,
            seed=self.seed,
            progress=console().is_terminal,
            model_name=self._model_name,
        )
        summary.show(report, of=len(data), seconds=monotonic() - started)
        return report

    @property
    def _model_name(self) -> str:
        return self.model if self.weights is None else f"{self.model} with {self.weights}"


def demand(report: Report, share: float | None) -> None:
    """Ends the program with 1 where the certified accuracy is below ``share``."""
    if share is not None and report.lower < share:
        say(f"the certified accuracy {report.lower:.4g} is below {share:.4g}, which --fail-under asks for")
        raise typer.Exit(1)
