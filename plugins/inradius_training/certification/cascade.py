"""A cascade of networks that answers with a certificate or refuses.

The stages are asked in order. The first stage that certifies its own label at x, over Δ(x), gives the answer, provided
that every stage before it has the same label at x. Where two stages differ, or none certifies, the cascade refuses.

**Theorem.** Let Δ be symmetric, δ ∈ Δ(x) ⇒ −δ ∈ Δ(x + δ). If the cascade answers c at x, then at every x' = x + δ with
δ ∈ Δ(x) it answers c or refuses.

*Proof.* Stage i answers at x. Then f₁(x) = … = fᵢ(x) = c, and fᵢ is c on all of x + Δ(x), also at x'. Let stage j
answer d at x'. Then f₁(x') = … = fⱼ(x') = d. If j ≥ i, stage i is among those that agree at x', so d = fᵢ(x') = c. If j
< i, stage j certifies d on all of x' + Δ(x'), to which x belongs because Δ is symmetric. So fⱼ(x) = d, and fⱼ(x) = c
because stage j comes before the stage that answers at x. ∎

Without the check, the case j < i fails: a stage that is undecided at x, with a label other than the answer's, may
certify that label at x'. No rule guarantees an answer at every x'. An adversary may make the cascade refuse, so its
certificate is weaker than that of a network. Source: wong2020, Algorithm 4.
"""

from collections.abc import Iterable

import attrs
import torch
from torch import Tensor, nn

from inradius import Certifier, ThreatModel, UnsupportedError
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius.components.default import default
from inradius.models.modes import evaluating


@attrs.frozen(eq=False)
class Answers:
    """label (B,): the answer, -1 where the cascade refuses; stage (B,): the number of the stage that answers, from 0, or -1."""

    label: Tensor
    stage: Tensor


class Cascade(nn.Module):
    """Networks, a symmetric set, and the certifier whose proofs decide which network answers.

    Logits (B, C + 1): those of the stage that answers, and one last class for refusing. This class is the largest where
    the cascade refuses; the others are then those of the first stage. These logits cannot be certified, because an
    adversary may make the cascade refuse. ``answers`` is the certificate.
    """

    def __init__(self, stages: Iterable[nn.Module], threat: ThreatModel, certifier: Certifier) -> None:
        if not threat.symmetric:
            raise UnsupportedError(
                f"{threat} is not symmetric: a certificate at x + δ says nothing about x, so a cascade could change its "
                "answer; allowed are symmetric sets, such as linf, l2 and l1"
            )
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.threat, self.certifier = threat, certifier

    def extra_repr(self) -> str:
        # the answers depend on both, so two cascades that differ in them must print differently
        return f"threat={self.threat.spec(full=True)}, certifier={self.certifier.spec(full=True)}"

    def answers(self, x: Tensor, *, index: Tensor | None = None) -> Answers:
        """The answers to a batch (B, *S), with a proof that no x + δ gets a different answer."""
        where = torch.arange(len(x), device=x.device) if index is None else index.to(x.device)
        left, first = torch.arange(len(x), device=x.device), torch.zeros_like(where)
        label, stage = torch.full_like(left, -1), torch.full_like(left, -1)
        for number, network in enumerate(self.stages):
            predicted, certified = verdict(network, x[left], self.threat, self.certifier, where[left])
            if number == 0:
                first = predicted
            agrees = predicted == first[left]
            done = left[agrees & certified]
            label[done], stage[done] = first[done], number
            left = left[agrees & ~certified]
            if not len(left):
                break
        return Answers(label, stage)

    def forward(self, x: Tensor) -> Tensor:
        if current_certificate() is not None:
            raise UnsupportedError(
                "a cascade chooses a network by its certificates, and no bounds pass that choice; allowed are the method "
                "answers, which is its certificate, and certificates of each of its stages"
            )
        stage = self.answers(x.detach()).stage
        every = torch.stack([network(x) for network in self.stages], dim=1)
        logits = every[torch.arange(len(x), device=x.device), stage.clamp(min=0)]
        low, high = logits.amin(1, keepdim=True) - 1, logits.amax(1, keepdim=True) + 1
        return torch.cat([logits, torch.where(stage[:, None] < 0, high, low)], dim=1)


def verdict(
    network: nn.Module, x: Tensor, threat: ThreatModel, certifier: Certifier, index: Tensor
) -> tuple[Tensor, Tensor]:
    """A network's predictions, and True where it is certified to keep them over Δ(x), two of (B,).

    Raises ``UnsupportedError`` for a certifier whose certificates may fail.
    """
    with evaluating(network), torch.no_grad():
        predicted = network(x).argmax(1)
        proof = certifier(network, x, predicted, threat, index=index)
    if proof.failure_probability > 0:
        raise UnsupportedError(
            f"certificates of {certifier} fail with probability {proof.failure_probability}, and the answers of a cascade "
            "need certificates at every point of a set; allowed are certifiers that prove, such as dual and crown"
        )
    return predicted, proof.counted()


def cascade(*stages: nn.Module, threat: ThreatModel, certifier: Certifier | None = None) -> Cascade:
    """A cascade of these networks, for weights that ``network_cascade`` trained; the certifier is by default its own."""
    return Cascade(stages, threat, certifier or default("dual()", Certifier, of="certifier of cascade")())
