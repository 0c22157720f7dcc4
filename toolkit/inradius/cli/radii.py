"""``inradius certify --radius``: the certified and the attacked radius of each example."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.bracketing.radii import Radii, radii
from inradius.certifiers.certificate import Claim
from inradius.certifiers.certifier import Certifier
from inradius.cli.console import console, say, table
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.outcomes.outcome import Outcome
from inradius.report.tables import csv_text
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import write_atomic

_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)


def find(
    model: nn.Module,
    data: Dataset,
    threat: ThreatModel,
    certifiers: list[Certifier],
    attack: Attack,
    batch: int,
    *,
    accept_solver: bool,
    claim: Claim,
    outcome: Outcome,
) -> Radii:
    """The radii of all examples, in batches, by all of the certifiers and the attack."""
    certifier = certifiers[0] if len(certifiers) == 1 else make(f"certifier_cascade({_listed(certifiers)})", Certifier)
    parts = []
    for first in range(0, len(data), batch):
        some = data.select(torch.arange(first, min(first + batch, len(data))))
        options: dict[str, Any] = {
            "index": some.index,
            "accept_solver": accept_solver,
            "claim": claim,
            "outcome": outcome,
        }
        parts.append(radii(model, some.inputs, some.labels, threat, certifier, attack, **options))
    return Radii(torch.cat([part.certified for part in parts]), torch.cat([part.attacked for part in parts]))


def _listed(certifiers: list[Certifier]) -> str:
    return ", ".join(str(certifier) for certifier in certifiers)


def show(found: Radii, threat: ThreatModel, data: Dataset, folder: Path | None) -> None:
    """Prints how many examples have how large a radius, and writes radii.csv where there is a folder."""
    radius = threat.radius
    unit, name = (float(radius), "radius") if radius is not None and radius > 0 else (1.0, "factor")
    columns = "share of the examples", f"certified {name} below", f"attacked {name} below"
    made = table(*columns, right=columns)
    for share in _SHARES:
        ends = (_quantile(side, share) for side in (found.certified, found.attacked))
        made.add_row(f"{share:.0%}", *(f"{unit * end:.4g}" for end in ends))
    say()
    console().print(made)
    if folder is not None:
        names = ["index", "label", f"certified {name}", f"attacked {name}"]
        sides = ((unit * side).tolist() for side in (found.certified, found.attacked))
        rows = zip(data.index.tolist(), data.labels.tolist(), *sides, strict=True)
        write_atomic(
            folder / "radii.csv", csv_text(names, (dict(zip(names, row, strict=True)) for row in rows)).encode()
        )
        say(f"radii    {folder / 'radii.csv'}")


def _quantile(values: Tensor, share: float) -> float:
    """The value below which a share of the values lies; infinities count."""
    ordered = values.sort().values
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])
