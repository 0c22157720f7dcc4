"""Detection of adversarial inputs at test time, without false negatives."""

import warnings

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
    proof = certifier(model, x, logits.argmax(1), threat, index=index, claim=claim, decide=True)
    if bool(proof.weaker.any()):
        warnings.warn(weaker(int(proof.weaker.sum()), IN_PYTHON), UserWarning, stacklevel=2)
    return ~proof.counted(accept_solver=accept_solver)
