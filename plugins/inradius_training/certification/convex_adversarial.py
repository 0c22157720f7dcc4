"""Certified training of Wong and Kolter: the dual bound alone as the loss."""

import attrs

from inradius import Certifier
from inradius.components.default import default
from inradius.components.validators import component, share
from inradius_training.certification.certified import Certified


@attrs.frozen(kw_only=True)
class ConvexAdversarial(Certified):
    """``certified`` as its first paper and the thesis have it: min E CE(worst logits, y), with the bounds of the dual network.

    There is no clean loss at any time, κ = 0, and the radius grows over the first third of the run from a tenth. The
    thesis's random projections are ``certifier=projected(estimator='median')``, which are estimates and no bounds: give
    ``judge=dual()`` beside them. Its recipe is Adam at 1e-3, halved every 10 of 60 epochs, in mini-batches of 50.
    Source: wong2018, wong2018scaling, section 3.2 of the thesis.
    """

    name = "convex_adversarial"

    certifier: Certifier = attrs.field(
        factory=default("dual()", Certifier, of="certifier of convex_adversarial"), validator=component(Certifier)
    )
    first_kappa: float = attrs.field(default=0.0, validator=share)
    kappa: float = attrs.field(default=0.0, validator=share)
