"""Detection of adversarial inputs at test time, without false negatives."""

import warnings

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_flag, check_kind, check_model, check_threat
from inradius.certifiers.certificate import DEFAULT_CLAIM, IN_PYTHON, Claim, weaker
from inradius.certifiers.certifier import Certifier
from inradius.data.checks import check_images
from inradius.errors import UnsupportedError
from inradius.models.modes import evaluating
from inradius.models.outputs import asked, check_logits
from inradius.sets.threat_model import ThreatModel


@attrs.frozen(eq=False)
class Detection:
    """The answer for a batch of inputs.

    predicted (B,): the prediction; flagged (B,): True where it is not certified, so that the input may be adversarial; weaker (B,):
    True where it is flagged only because its proof has a weaker level than was asked for; failure_probability: the chance that a
    certificate is wrong, 0 for proofs.
    """

    predicted: Tensor
    flagged: Tensor
    weaker: Tensor
    failure_probability: float


def suspicious(
    model: nn.Module,
    x: Tensor,
    threat: ThreatModel,
    certifier: Certifier,
    *,
    index: Tensor | None = None,
    accept_solver: bool = False,
    claim: Claim = DEFAULT_CLAIM,
) -> Tensor:
    """A mask of the inputs of a batch (B, *S) that may be adversarial, (B,): those that are not certified to keep their prediction.

    An adversarial input is x + δ with δ ∈ Δ(x) whose prediction differs from that of x. Where Δ is symmetric, x lies in the set
    around x + δ. Then the prediction at x + δ cannot be certified, so every adversarial input is flagged and there are no false
    negatives. Inputs that are only close to a decision boundary are flagged as well. No labels are needed. The model is in eval
    mode meanwhile. ``claim`` is the level that a proof must have to count. A solver's answer counts as a certificate with
    ``accept_solver`` alone. A warning counts the inputs whose proof has too weak a level.

    Raises ``InputError`` for invalid inputs and ``UnsupportedError`` for a set that is not symmetric. Source: wong2018,
    Corollary 2.
    """
    found = detect(model, x, threat, certifier, index=index, accept_solver=accept_solver, claim=claim)
    if bool(found.weaker.any()):
        warnings.warn(weaker(int(found.weaker.sum()), IN_PYTHON), UserWarning, stacklevel=2)
    return found.flagged


def detect(
    model: nn.Module,
    x: Tensor,
    threat: ThreatModel,
    certifier: Certifier,
    *,
    index: Tensor | None = None,
    accept_solver: bool = False,
    claim: Claim = DEFAULT_CLAIM,
) -> Detection:
    """The predictions of a batch (B, *S) and the mask of ``suspicious``, without a warning; it raises the same errors."""
    check_images(x)
    check_model(model, x)
    check_threat(threat)
    check_kind(certifier, Certifier, "certifier")
    check_flag(accept_solver, "accept_solver")
    if not threat.symmetric:
        raise UnsupportedError(
            f"{threat} is not symmetric: where x + δ lies in the set around x, x need not lie in the one around x + δ, so "
            "a certificate there proves nothing about x; allowed are symmetric sets such as linf, l2 and l1"
        )
    with torch.no_grad(), evaluating(model):
        logits = asked(certifier.subject(model), x)
    check_logits(logits, len(x))
    predicted = logits.argmax(1)
    proof = certifier(model, x, predicted, threat, index=index, claim=claim, decide=True)
    flagged = ~proof.counted(accept_solver=accept_solver)
    return Detection(predicted, flagged, proof.weaker & flagged, proof.failure_probability)
