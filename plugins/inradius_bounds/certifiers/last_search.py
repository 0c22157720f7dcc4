"""The search that ends a cascade with a limit of time: ``branch_and_bound`` for the examples that are still open."""

import time

import attrs
from torch import Tensor, nn

from inradius import ExampleRNG, Oracles, Property
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius_bounds.certifiers.branch_and_bound import BranchAndBound
from inradius_bounds.certifiers.highest_bounds import HighestBounds


@attrs.frozen
class LastSearch:
    """The limit of a cascade: ``seconds`` for each example, all passes of a certificate together; ``end`` is that of the batch."""

    seconds: float
    end: float

    @classmethod
    def of(cls, cascade: object, seconds: float, count: int) -> "LastSearch":
        """The limit for a batch of ``count`` examples; later passes of the same certificate share that of the first."""
        proof, now = current_certificate(), time.monotonic()
        made = cls(seconds, now + seconds * count)
        found: LastSearch = made if proof is None else proof.memo.setdefault((cls, cascade), made)
        return found

    @property
    def over(self) -> bool:
        """True where the time of the batch is spent."""
        return time.monotonic() > self.end

    def run(
        self, best: HighestBounds, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG
    ) -> None:
        """Adds the bounds of the search for the examples without a proof, also those that a short search has refuted.

        Each gets its share of the time that is left, and at most ``seconds``.
        """
        proof = current_certificate()
        left = best.undecided(prop).nonzero().squeeze(1)
        # bounds to train on come from no search
        if proof is None or not len(left) or self.over:
            return
        share = min(self.seconds, (self.end - time.monotonic()) / len(left))
        # a witness is a perturbation in the type of the model
        own = x[left].to(proof.dtype)
        search = BranchAndBound(seconds=max(share, 1e-3))
        best.take(left, search.lower_bound(model, own, threat.select(left), prop.select(left), rng.take(left)))
