"""The record of one example: its clean prediction, its attempts and its verdicts."""

import math
from typing import Literal

import attrs

from inradius.certifiers.certificate import CLAIMS

Status = Literal["wrong", "attacked", "certified", "undecided", "within_rounding"]
STATUSES: tuple[Status, ...] = ("wrong", "attacked", "within_rounding", "undecided", "certified")


# the levels whose certificates are no proofs: a successful attack counts against them
DOUBTFUL = ("probabilistic", "solver")


def strength(claim: str) -> int:
    """A number that grows as a level gets weaker."""
    return CLAIMS.index(claim)


@attrs.frozen(kw_only=True)
class Attempt:
    """One attack on one example, or the witness of a certifier, which is judged as an attack is.

    margin: that of the outcome at x + δ, by default the label's logit minus the largest other one; gauge: the share of the
    radius used; violation: the distance to the hard constraints; inside: δ is a member of the set, by the referee; queries:
    images evaluated; rejected: the referee did not confirm the answer; reused: δ was found at another radius of a curve;
    within_rounding: δ is a member, and rounding decides if x + δ is misclassified, as where two logits tie; witness: δ is the
    witness of a certifier, whose spec is ``attack``.
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
    witness: bool = False


@attrs.frozen(kw_only=True)
class Verdict:
    """One certifier on one example.

    bound: the smallest lower bound of the margins; error: a bound of the rounding error in it, so that bound − error is
    guaranteed; precision: the bits it was computed in; failure_probability: 0 for a proof; reused: it was found at another
    radius of a curve; claim: the level, "float", "real", "probabilistic" or "solver"; accepted: the level counts. Level
    "real" does not count where "float" was asked for, and "solver" counts where it was asked for only.
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
        """The level of a report that names none."""
        return "probabilistic" if self.failure_probability > 0 else "real"

    @property
    def counted(self) -> bool:
        """True where the example counts as certified."""
        return self.certified and self.accepted

    @property
    def proof(self) -> bool:
        """True where the example is proved robust, also at a weaker level than the one that was asked for."""
        return self.certified and self.claim not in DOUBTFUL

    @property
    def guaranteed(self) -> float:
        """The guaranteed lower bound of the margin."""
        return self.bound - self.error


@attrs.frozen(kw_only=True)
class Example:
    """One example: its clean prediction, every attempt and every verdict.

    row: its place in the data; index: its number in the data's source; clean_margin: the margin at δ = 0;
    label, predicted: classes, None with outcomes that know none of an example.
    """

    row: int
    index: int
    label: int | None
    predicted: int | None
    clean_margin: float
    attempts: tuple[Attempt, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def correct(self) -> bool:
        """True where the clean prediction is right; a tie is wrong."""
        return self.clean_margin > 0

    @property
    def attacks(self) -> tuple[Attempt, ...]:
        """The attempts of attacks, without the witnesses of certifiers."""
        return tuple(attempt for attempt in self.attempts if not attempt.witness)

    @property
    def attacked(self) -> bool:
        """True where an attack succeeded, or a certifier's witness."""
        return any(attempt.success for attempt in self.attempts)

    @property
    def certified(self) -> bool:
        """True where a certificate counts."""
        return any(verdict.counted for verdict in self.verdicts)

    @property
    def conflict(self) -> bool:
        """True where the example is broken and certified at once, also by a solver's word that does not count."""
        return any(verdict.certified for verdict in self.verdicts) and (self.attacked or not self.correct)

    @property
    def status(self) -> Status:
        """wrong, attacked, certified, undecided, or within_rounding, which counts on neither side.

        An example is within rounding if it is attacked and proved at once, or if rounding decides the prediction at the
        perturbation of an attack and no attack succeeds. A certificate that is no proof does not count against a successful
        attack. The answers of attacks are judged in ``bracketing/referee.py``; the next stage runs on ``Ledger.undecided``.
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
        """The verdict that counts: one whose level is accepted, then one of the strongest level, then one of the largest bound."""
        return max(self.verdicts, key=_rank, default=None)

    @property
    def claim(self) -> str | None:
        """The strongest level of the example's certificates, also where it does not count."""
        found = (verdict.claim for verdict in self.verdicts if verdict.certified)
        return min(found, key=strength, default=None)

    @property
    def attacked_by(self) -> str | None:
        """The spec of the attack that counts, or of the certifier with the witness that counts, where it succeeded."""
        return self.attempt.attack if self.attempt and self.attempt.success else None

    @property
    def margin(self) -> float | None:
        """The margin at the perturbation of the attempt that counts."""
        return self.attempt.margin if self.attempt else None

    @property
    def least_margin(self) -> float:
        """The smallest margin at δ = 0 and at the perturbations that are members of the set."""
        return min(self.clean_margin, *(attempt.margin for attempt in self.attempts if attempt.inside), math.inf)

    @property
    def gauge(self) -> float | None:
        """The share of the radius that the attempt that counts uses."""
        return self.attempt.gauge if self.attempt else None

    @property
    def certified_by(self) -> str | None:
        """The spec of the certifier that counts, where it certified."""
        return self.verdict.certifier if self.verdict and self.verdict.counted else None

    @property
    def bound(self) -> float | None:
        """The lower bound of the margin in the verdict that counts."""
        return self.verdict.bound if self.verdict else None


def _rank(verdict: Verdict) -> tuple[bool, float, float]:
    """A key for comparing verdicts: the verdict that counts has the largest."""
    level = -strength(verdict.claim) if verdict.certified else -math.inf
    return verdict.counted, level, 0.0 if verdict.certified else verdict.bound
