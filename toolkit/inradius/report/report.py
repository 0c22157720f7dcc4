"""The bracket as a value: three numbers, a table of examples, and everything that led to them."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from inradius.bracketing.example import STATUSES, Example
from inradius.bracketing.setting import Setting
from inradius.report import levels, page, storage, tables
from inradius.report.intervals import clopper_pearson
from inradius.stored.files import as_folder


@attrs.frozen(kw_only=True)
class Report:
    """Certified accuracy ≤ robust accuracy ≤ accuracy under attack, over a set of examples.

    examples: one record each; seconds: the time of each stage; environment: what it ran on; deltas: by row, the
    perturbation of the attempt that counts (*S); inputs: by row, the few images that the page shows (*S); flags: sentences on
    what makes these numbers doubtful. Two reports are equal when their settings and their examples are, whatever time and
    machine they took.
    """

    setting: Setting
    examples: tuple[Example, ...]
    seconds: Mapping[str, float] = attrs.field(factory=dict, eq=False, repr=False)
    environment: Mapping[str, Any] = attrs.field(factory=dict, eq=False, repr=False)
    flags: tuple[str, ...] = attrs.field(default=(), eq=False)
    deltas: Mapping[int, Tensor] = attrs.field(factory=dict, eq=False, repr=False)
    inputs: Mapping[int, Tensor] = attrs.field(factory=dict, eq=False, repr=False)
    folder: Path | None = attrs.field(default=None, eq=False)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many examples have each status."""
        found = [example.status for example in self.examples]
        return {status: found.count(status) for status in STATUSES}

    @property
    def clean(self) -> float:
        """The share of examples that are classified correctly, ties counted as wrong."""
        return self._share(self._right)

    @property
    def upper(self) -> float:
        """Accuracy under attack: the share of examples that are neither misclassified nor broken by an attack."""
        return self._share(self._right - self.counts["attacked"])

    @property
    def lower(self) -> float:
        """Certified accuracy: the share of examples that are certified, and neither broken nor within rounding of it.

        A proof counts at the level that was asked for (``setting.claim``) or a stronger one; ``uncounted`` says what is left.
        """
        return self._share(self.counts["certified"])

    @property
    def claims(self) -> dict[str, int]:
        """How many unbroken examples are held to be robust at each level, the strongest that each has, counted or not."""
        return levels.claims(example.claim for example in self.examples if example.status in ("certified", "undecided"))

    @property
    def uncounted(self) -> dict[str, int]:
        """How many of these do not count in ``lower``: they have a weaker level than was asked for, or a solver's word."""
        return levels.uncounted(self)

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % Clopper-Pearson interval of ``lower``, ``upper`` and ``clean``, for the population sampled."""
        right, counts = self._right, self.counts
        found = {"lower": counts["certified"], "upper": right - counts["attacked"], "clean": right}
        return {name: clopper_pearson(count, len(self.examples)) for name, count in found.items()}

    @property
    def _right(self) -> int:
        return len(self.examples) - self.counts["wrong"]

    def _share(self, count: int) -> float:
        return count / len(self.examples)

    @property
    def conflicts(self) -> int:
        """How many successfully attacked examples hold a certificate that is no proof: one of chance, or a solver's word."""
        return sum(example.conflict and example.status == "attacked" for example in self.examples)

    def summary(self) -> dict[str, Any]:
        """The report without its examples, as plain values that JSON can hold."""
        return tables.summary(self)

    def save(self, folder: str | Path) -> Path:
        """Writes report.json, examples.csv, report.html, the perturbations and the figure; each file whole or not at all.

        The figure needs matplotlib and is left out where that is not installed. Raises ``InputError`` where
        nothing can be written, ``StorageError`` where the disk is full.
        """
        return storage.save(self, as_folder(folder))

    @classmethod
    def load(cls, folder: str | Path) -> "Report":
        """The report that ``save`` wrote. Raises ``InputError`` where the folder holds none."""
        return cls(**storage.load(Path(folder)))

    def to_html(self) -> str:
        """The report as one page that needs no other file."""
        return page.render(self)
