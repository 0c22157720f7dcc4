"""The bracket of a set of examples as a value, without any view of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from inradius.bracketing.clopper_pearson import clopper_pearson
from inradius.bracketing.example import STATUSES, Example, strength
from inradius.bracketing.setting import Setting
from inradius.bracketing.vote_interval import vote_interval


def count_claims(found: Iterable[str | None]) -> dict[str, int]:
    """The number of examples by the level of their certificate, the strongest level first; None is not counted."""
    counted = Counter(claim for claim in found if claim is not None)
    return {claim: counted[claim] for claim in sorted(counted, key=strength)}


@attrs.frozen(kw_only=True)
class BracketResult:
    """Certified accuracy ≤ robust accuracy ≤ accuracy under attack, over a set of examples.

    examples: one record each; seconds: the time of each method; environment: the machine and the versions; deltas: by row,
    the perturbation of the attempt that counts (*S); inputs: by row, the few images that the page shows (*S); flags:
    sentences on anything that makes these numbers doubtful; command: the command line that asks the same, "" for a call from
    Python. Two results are equal when their settings and their examples are equal; time and machine do not matter.
    """

    setting: Setting
    examples: tuple[Example, ...]
    seconds: Mapping[str, float] = attrs.field(factory=dict, eq=False, repr=False)
    environment: Mapping[str, Any] = attrs.field(factory=dict, eq=False, repr=False)
    flags: tuple[str, ...] = attrs.field(default=(), eq=False)
    deltas: Mapping[int, Tensor] = attrs.field(factory=dict, eq=False, repr=False)
    inputs: Mapping[int, Tensor] = attrs.field(factory=dict, eq=False, repr=False)
    folder: Path | None = attrs.field(default=None, eq=False)
    command: str = attrs.field(default="", eq=False)

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of examples with each status."""
        found = [example.status for example in self.examples]
        return {status: found.count(status) for status in STATUSES}

    @property
    def clean(self) -> float:
        """The share of examples that are classified correctly; a tie counts as wrong."""
        return self._share(self._right)

    @property
    def upper(self) -> float:
        """Accuracy under attack: the share of examples that are neither misclassified nor broken by an attack."""
        return self._share(self._right - self.counts["attacked"])

    @property
    def lower(self) -> float:
        """Certified accuracy: the share of examples that are certified, and neither broken nor within rounding of it.

        A proof counts at the level that was asked for (``setting.claim``) or a stronger one; ``uncounted`` has the others.
        """
        return self._share(self.counts["certified"])

    @property
    def claims(self) -> dict[str, int]:
        """The number of unbroken examples with a certificate, by its strongest level, counted in ``lower`` or not."""
        return count_claims(e.claim for e in self.examples if e.status in ("certified", "undecided"))

    @property
    def uncounted(self) -> dict[str, int]:
        """The part of ``claims`` that does not count in ``lower``: a weaker level than was asked for, or a solver's word."""
        return count_claims(example.claim for example in self.examples if example.status == "undecided")

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % Clopper-Pearson interval of ``lower``, ``upper`` and ``clean``, for the population sampled.

        Where votes judged a random model, those of ``upper`` and ``clean`` are ``vote_interval``.
        """
        right, counts = self._right, self.counts
        found = {"lower": counts["certified"], "upper": right - counts["attacked"], "clean": right}
        intervals = {name: clopper_pearson(count, len(self.examples)) for name, count in found.items()}
        votes = self.setting.votes
        if votes > 1:
            intervals["clean"] = vote_interval([example.clean_margin for example in self.examples], votes)
            intervals["upper"] = vote_interval([example.least_margin for example in self.examples], votes)
        return intervals

    @property
    def _right(self) -> int:
        return len(self.examples) - self.counts["wrong"]

    def _share(self, count: int) -> float:
        return count / len(self.examples)

    @property
    def conflicts(self) -> int:
        """The number of broken examples that also have a certificate that is no proof: probabilistic, or a solver's word."""
        return sum(example.conflict and example.status == "attacked" for example in self.examples)
