"""The levels of a report's certificates: how many examples have each, and what is proved but does not count."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from inradius.bracketing.example import strength
from inradius.certifiers.certificate import IN_PYTHON, MEANING, weaker

if TYPE_CHECKING:
    from inradius.report.report import Report


def claims(found: Iterable[str | None]) -> dict[str, int]:
    """How many examples are held to be robust at each level, the strongest first; levels that no example has are left out."""
    counted = Counter(claim for claim in found if claim is not None)
    return {claim: counted[claim] for claim in sorted(counted, key=strength)}


def listed(found: Mapping[str, int]) -> str:
    """How many examples each level has, in words."""
    return ", ".join(f"{count} {claim}" for claim, count in found.items())


def uncounted(report: "Report") -> dict[str, int]:
    """How many undecided examples are held to be robust at a level that does not count."""
    return claims(example.claim for example in report.examples if example.status == "undecided")


def more(report: "Report", option: str = "--claim real") -> str:
    """A sentence on the examples that are proved at a weaker level than the one asked for; empty where there are none."""
    count = uncounted(report).get("real", 0)
    return weaker(count, option) if count else ""


def sentences(report: "Report") -> str:
    """What the certificates of unbroken examples claim, for a page."""
    asked = report.setting.claim
    text = f"Level {asked} was asked for ({MEANING[asked]}). "
    text += f"By what is claimed: {listed(report.claims) or 'nothing is certified'}."
    if found := more(report, IN_PYTHON):
        text += f" {found}."
    if "solver" in report.claims:
        counts = "counts, as was asked for" if report.setting.accept_solver else "does not count"
        text += f" A solver's word is no proof; it {counts} as certified."
    return text
