"""What was found out about one example."""

import math
from typing import Literal

import attrs

from inradius.certifiers.certificate import CLAIMS

Status = Literal["wrong", "attacked", "certified", "undecided", "within_rounding"]
STATUSES: tuple[Status, ...] = ("wrong", "attacked", "within_rounding", "undecided", "certified")


# the levels that give way to a successful attack
DOUBTFUL = ("probabilistic", "solver")


def strength(claim: str) -> int:
    """A number that grows as a level gets weaker."""
    return CLAIMS.index(claim)


@attrs.frozen(kw_only=True)
class Attempt:
    """One attack on one example.

    margin: the label's logit minus the largest other one at x + δ; gauge: the share of the radius used; violation: the
    distance to the hard constraints; inside: whether δ was accepted as a member of the set; queries: images evaluated;
    rejected: whether the referee turned the answer down; reused: whether δ was found at another radius of a curve;
    within_rounding: whether δ is a member and rounding decides if the label is lost there, as where two logits tie.
    """

    attack: str
    success: bool
    margin: float
    gauge: float
    violation: float
    inside: bool
    queries: int
    rejected: bool = False
    reused: bool = False
    within_rounding: bool = False


@attrs.frozen(kw_only=True)
class Verdict:
    """One certifier on one example.

    bound: the smallest lower bound of the margins; error: what rounding may have added to it, so that bound − error is
    guaranteed; precision: the bits it was computed in; failure_probability: 0 for a proof; reused: whether it was proved at
    another radius of a curve; claim: the level, "float", "real", "probabilistic" or "solver"; accepted: whether such a level
    counts, as "real" does not where "float" was asked for, and a solver's word does where it was asked for alone.
    """

    certifier: str
    certified: bool
    bound: float
    error: float
    precision: int
    failure_probability: float
    reused: bool = False
    claim: str = attrs.field()
    accepted: bool = True

    @claim.default
    def _level(self) -> str:
        """That of reports which name none."""
        return "probabilistic" if self.failure_probability > 0 else "real"

    @property
    def counted(self) -> bool:
        """Whether the example counts as certified."""
        return self.certified and self.accepted

    @property
    def proof(self) -> bool:
        """Whether the example is certified for sure, also at a weaker level than the one that was asked for."""
        return self.certified and self.claim not in DOUBTFUL

    @property
    def guaranteed(self) -> float:
        """What the margin cannot fall below."""
        return self.bound - self.error


@attrs.frozen(kw_only=True)
class Example:
    """One example: its clean prediction, every attempt and every verdict.

    row: its place in the data; index: its number in the data's source; clean_margin: the margin at δ = 0.
    """

    row: int
    index: int
    label: int
    predicted: int
    clean_margin: float
    attempts: tuple[Attempt, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def correct(self) -> bool:
        """Whether the clean prediction is right: a tie is not."""
        return self.clean_margin > 0

    @property
    def attacked(self) -> bool:
        """Whether an attack succeeded."""
        return any(attempt.success for attempt in self.attempts)

    @property
    def certified(self) -> bool:
        """Whether a certifier holds the example to be robust."""
        return any(verdict.counted for verdict in self.verdicts)

    @property
    def conflict(self) -> bool:
        """Whether the example is broken and certified at once, also by a solver's word that does not count."""
        return any(verdict.certified for verdict in self.verdicts) and (self.attacked or not self.correct)

    @property
    def status(self) -> Status:
        """wrong, attacked, certified, undecided, or within_rounding, which counts on neither side.

        Within rounding is what is attacked and proved at once, and what an attack brings to where rounding decides the
        prediction while none gets beyond. A certificate that may fail with some probability does not stand against a
        successful attack.
        """
        if not self.correct:
            return "wrong"
        if self.attacked:
            return "within_rounding" if any(verdict.proof for verdict in self.verdicts) else "attacked"
        if any(attempt.within_rounding for attempt in self.attempts):
            return "within_rounding"
        return "certified" if self.certified else "undecided"

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that counts: a success before a failure, then the smallest margin; None where none was inside."""
        inside = [attempt for attempt in self.attempts if attempt.inside]
        return min(inside, key=lambda attempt: (not attempt.success, attempt.margin), default=None)

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that counts: the first that certifies at the strongest level; else the one of largest bound."""
        return max(self.verdicts, key=_rank, default=None)

    @property
    def claim(self) -> str | None:
        """The strongest level at which a certifier holds the example to be robust, also where it does not count."""
        found = (verdict.claim for verdict in self.verdicts if verdict.certified)
        return min(found, key=strength, default=None)

    @property
    def attacked_by(self) -> str | None:
        """The spec of the attack that counts, where it succeeded."""
        return self.attempt.attack if self.attempt and self.attempt.success else None

    @property
    def margin(self) -> float | None:
        """The margin that the attack that counts left."""
        return self.attempt.margin if self.attempt else None

    @property
    def gauge(self) -> float | None:
        """The share of the radius that the attack that counts used."""
        return self.attempt.gauge if self.attempt else None

    @property
    def certified_by(self) -> str | None:
        """The spec of the certifier that counts, where it certified."""
        return self.verdict.certifier if self.verdict and self.verdict.counted else None

    @property
    def bound(self) -> float | None:
        """The lower bound of the margin by the certifier that counts."""
        return self.verdict.bound if self.verdict else None


def _rank(verdict: Verdict) -> tuple[bool, float, float]:
    """What puts one verdict before another."""
    level = -strength(verdict.claim) if verdict.certified else -math.inf
    return verdict.counted, level, 0.0 if verdict.certified else verdict.bound
