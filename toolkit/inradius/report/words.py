"""One colour and one word for each status, and sentences on the levels of certificates."""

from collections.abc import Mapping

from inradius.bracketing.result import BracketResult
from inradius.certifiers.certificate import IN_PYTHON, MEANING, weaker
from inradius.outcomes.classes import TOP1

# Okabe and Ito's colours, which people who do not see red and green apart can tell
COLOURS = {
    "certified": "#009e73",
    "undecided": "#e69f00",
    "within_rounding": "#f0e442",
    "attacked": "#d55e00",
    "wrong": "#7a7a7a",
}
WORDS = {
    "certified": "certified",
    "undecided": "undecided",
    "within_rounding": "within rounding",
    "attacked": "broken by an attack",
    "wrong": "misclassified",
}


def is_top1(result: BracketResult) -> bool:
    """True where an example is broken by another prediction than its label, as by default."""
    return result.setting.outcome == TOP1.spec(full=True)


def words(result: BracketResult) -> dict[str, str]:
    """A word for each status."""
    return WORDS if is_top1(result) else {**WORDS, "wrong": "broken without perturbation"}


def listed_claims(found: Mapping[str, int]) -> str:
    """The number of examples at each level, in words."""
    return ", ".join(f"{count} {claim}" for claim, count in found.items())


def sentence_on_weaker(result: BracketResult, option: str = "--claim real") -> str:
    """A sentence on the examples with a proof at a weaker level than was asked for; empty where there are none."""
    count = result.uncounted.get("real", 0)
    return weaker(count, option) if count else ""


def sentences_on_claims(result: BracketResult) -> str:
    """Sentences on the levels of the certificates of unbroken examples, for a page."""
    asked = result.setting.claim
    text = f"Level {asked} was asked for ({MEANING[asked]}). "
    text += f"By what is claimed: {listed_claims(result.claims) or 'nothing is certified'}."
    if found := sentence_on_weaker(result, IN_PYTHON):
        text += f" {found}."
    if "solver" in result.claims:
        counts = "counts, as was asked for" if result.setting.accept_solver else "does not count"
        text += f" A solver's word is no proof; it {counts} as certified."
    return text
