"""Detection of adversarial inputs at test time, without false negatives."""

import torch
from torch import Tensor, nn

from inradius.certifier import Certifier
from inradius.errors import UnsupportedError
from inradius.threat import ThreatModel


def suspicious(
    model: nn.Module, x: Tensor, threat: ThreatModel, certifier: Certifier, *, index: Tensor | None = None
) -> Tensor:
    """Whether each input of a batch (B, *S) may be an adversarial one, (B,): it is not certified to keep its prediction.

    An adversarial input is x + δ with δ ∈ Δ(x) whose prediction differs from that of x. Where Δ is symmetric, x lies within
    the set around x + δ, so the prediction there cannot be certified, and every adversarial input is flagged: there are no
    false negatives. Inputs that are merely close to a decision boundary are flagged as well. No labels are needed.
    Raises ``UnsupportedError`` for a set that is not symmetric. Source: wong2018, Corollary 2.
    """
    if not threat.symmetric:
        raise UnsupportedError(
            f"{threat} is not symmetric: where x + δ lies in the set around x, x need not lie in the one around x + δ, so "
            "a certificate there says nothing of x; allowed are symmetric sets, as in linf, l2 and l1"
        )
    with torch.no_grad():
        predicted = model(x).argmax(1)
        return ~certifier(model, x, predicted, threat, index=index).certified
