"""Auto-PGD: projected ascent with momentum that halves its own steps."""

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, CrossEntropy, Objective, Observer
from inradius.attacks.maximising_attack import MaximisingAttack
from inradius.components.validators import component, count, flag
from inradius_gradient.apgd_search import Search


@attrs.frozen(kw_only=True)
class APGD(MaximisingAttack):
    """Maximises the objective over Δ(x) by steps with momentum, each example's halved where it stalls.

    z = project(δ + η · steepest(gradient)), then δ ← project(δ + .75 (z − δ) + .25 (δ − the previous δ)), from η = 2 radii.
    At checkpoints η is halved, and the run goes back to its best iterate, where fewer than three in four steps raised
    the objective, or where neither η nor the best objective changed. On the ℓ1 ball ∩ box the steps change few
    coordinates instead, and with ``large_radii`` the first steps are around the sets of three and two radii. A
    union's parts are attacked one after the other. An example is attacked until an iterate is misclassified, and keeps
    that iterate; with ``keep_maximising`` every step is taken and the largest objective counts alone. The first run
    begins at a random point of Δ(x), at δ = 0 without ``random_start``, or at the ``start`` of the call, projected;
    later runs begin at random and are for the examples that are left.
    Source: croce2020; for ℓ1 croce2021.
    """

    # Croce and Hein 2020, sec. 6: 100 iterations
    steps: int = attrs.field(default=100, validator=count)
    restarts: int = attrs.field(default=1, validator=count)
    random_start: bool = attrs.field(default=True, validator=flag)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))
    keep_maximising: bool = attrs.field(default=False, validator=flag)
    # Croce and Hein 2021, sec. 3.4
    large_radii: bool = attrs.field(default=True, validator=flag)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        search = Search(
            batch,
            self.objective,
            steps=self.steps,
            large_radii=self.large_radii,
            keep_maximising=self.keep_maximising,
            observe=observe,
        )
        start = batch.start
        if start is None and not self.random_start:
            start = torch.zeros_like(batch.x)
        if start is None or bool(start.any()):
            search.clean()
        for restart in range(self.restarts):
            search.run(restart, start=start if restart == 0 else None)
        return search.best
