"""The decision about one or several questions: a witness of any, or a proof of each, before the time is over."""

import math
from collections.abc import Sequence
from typing import Any

import attrs
import torch

from inradius.certifiers.certificate import Certificate, Claim, weakest
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.search_states import within
from inradius.verification.clock import Clock
from inradius.verification.descent import find_witness
from inradius.verification.question import Question, Witness
from inradius.verification.result import VerificationResult

# rounds of the search before any proof is tried, before a proof is searched for, and where that failed and time is left
_FIRST, _BEFORE, _AFTER = range(1), range(1, 2), range(100)
# the least limit that a certifier gets, in seconds
_LEAST = 0.01
# the part of the time that the first search may take, one of so many
_SEARCHED = 4


def decide(
    questions: Sequence[Question], certifier: Certifier, clock: Clock, claim: Claim, seed: int = 0
) -> VerificationResult:
    """The result for all questions together: "sat" with a witness of one of them, or "unsat" where each is proved.

    All questions are searched first, as one witness decides: a short round, and a longer one for those that a certifier's bounds
    alone do not prove. Then each gets its share of the time that is left.
    """
    first = clock.share(_SEARCHED)
    found = _searched(questions, first, _FIRST, seed)
    if found is not None:
        return _refuted(found, clock)
    proofs = _proved_without_search(questions, certifier, clock, claim)
    open_ones = [number for number in range(len(questions)) if number not in proofs]
    found = _searched([questions[number] for number in open_ones], first, _BEFORE, seed)
    if found is not None:
        return _refuted(found, clock)
    for place, number in enumerate(open_ones):
        question, part = questions[number], clock.share(len(open_ones) - place)
        with within("question", number):
            proof = proofs[number] = _proof(question, certifier, part, claim)
        # an input that a proof at a weaker level leaves to rounding is not looked for
        if not bool(proof.certified):
            found = _witness_of(proof, question) or find_witness(question, part, _AFTER, seed + 1)
            if found is not None:
                return _refuted(found, clock)
            if clock.over:
                break
    return _proved(questions, [proofs[number] for number in sorted(proofs)], clock)


def _searched(questions: Sequence[Question], clock: Clock, rounds: range, seed: int) -> Witness | None:
    """A witness of one of the questions that these rounds find."""
    for number, question in enumerate(questions):
        found = find_witness(question, clock.share(len(questions) - number), rounds, seed)
        if found is not None:
            return found
    return None


def _proved_without_search(
    questions: Sequence[Question], certifier: Certifier, clock: Clock, claim: Claim
) -> dict[int, Certificate]:
    """The proofs by the bounds alone of a certifier with a limit for the parts that it searches, by the questions' numbers."""
    limit = attrs.fields_dict(type(certifier)).get("domains")
    if limit is None or limit.default is not None:
        return {}
    changed: dict[str, Any] = {"domains": 0}
    bounds, proofs = attrs.evolve(certifier, **changed), {}
    for number, question in enumerate(questions):
        if clock.over:
            break
        proof = _proof(question, bounds, clock, claim)
        if bool(proof.counted().all()):
            proofs[number] = proof
    return proofs


def _proof(question: Question, certifier: Certifier, clock: Clock, claim: Claim) -> Certificate:
    limited = _limited(certifier, clock.left)
    return limited(question.model, question.x, None, question.threat, prop=question.prop, claim=claim, decide=True)


def _limited(certifier: Certifier, seconds: float) -> Certifier:
    """The certifier with a limit of time, where it has a parameter for one; a smaller limit that was given stays."""
    limit = attrs.fields_dict(type(certifier)).get("seconds")
    if limit is None:
        return certifier
    own = attrs.asdict(certifier, recurse=False)["seconds"]
    given = seconds if own is None or own == limit.default else min(seconds, own)
    changed: dict[str, Any] = {"seconds": max(_LEAST, given)}
    return attrs.evolve(certifier, **changed)


def _witness_of(proof: Certificate, question: Question) -> Witness | None:
    """The certifier's own witness, where it is accepted."""
    if proof.witness is None or not bool(proof.witness.isfinite().all()):
        return None
    return question.accept((question.x.to(proof.witness) + proof.witness).to(question.x))


def _refuted(found: Witness, clock: Clock) -> VerificationResult:
    return VerificationResult("sat", witness=found.point, outputs=found.outputs, seconds=clock.spent)


def _proved(questions: Sequence[Question], proofs: Sequence[Certificate], clock: Clock) -> VerificationResult:
    levels = [level for proof in proofs for level in proof.claim]
    whole = len(proofs) == len(questions) and bool(levels)
    # a bound of some questions is none of the others
    least = min(map(_bound, questions, proofs)) if whole else -math.inf
    bound = least if math.isfinite(least) else None
    if whole and all(bool(proof.counted()) for proof in proofs):
        # several rows may prove a clause of which no row is positive everywhere
        kept = bound if bound is not None and bound > 0 else None
        return VerificationResult("unsat", bound=kept, claim=weakest(levels), seconds=clock.spent)
    # a proof at a level that was not asked for answers nothing, and is told
    proved = whole and all(bool(proof.certified) for proof in proofs)
    claim = weakest(levels) if proved else None
    return VerificationResult("timeout" if clock.over else "unknown", bound=bound, claim=claim, seconds=clock.spent)


def _bound(question: Question, proof: Certificate) -> float:
    """The proved bound of the question's lowest clause by one of its rows, as the rows were asked for, rounded down."""
    lower, error = proof.lower.double(), proof.error.double()
    below = torch.nextafter(lower - error, torch.full_like(lower, -torch.inf))
    safe = torch.where(error == 0, lower, below).nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
    return float(question.prop.weakest(safe))
