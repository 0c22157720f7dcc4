"""Targeted Auto-PGD: a run towards each of the classes that look best."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import DLR, AttackBatch, Objective, Observer
from inradius.attacks.maximising_attack import MaximisingAttack
from inradius.components.validators import component, count, flag
from inradius_gradient.apgd_search import Search


@attrs.frozen(kw_only=True)
class APGDT(MaximisingAttack):
    """A run of ``apgd`` towards each of the ``classes`` wrong classes of the largest logits; any wrong prediction counts.

    The objective is taken with the class as its goal; DLR is the margin where the model has fewer than four classes.
    Examples that are misclassified are dropped, unless ``keep_maximising``. With the ``goal`` of the call there is a run
    towards it alone, and it must be predicted.
    Source: croce2020.
    """

    name: ClassVar[str] = "apgd_t"

    # Croce and Hein 2020, sec. 6: 100 iterations, the 9 most likely wrong classes
    steps: int = attrs.field(default=100, validator=count)
    classes: int = attrs.field(default=9, validator=count)
    restarts: int = attrs.field(default=1, validator=count)
    random_start: bool = attrs.field(default=True, validator=flag)
    objective: Objective = attrs.field(factory=DLR, validator=component(Objective))
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
        targets = search.clean(self.classes).unbind(1)
        for restart in range(self.restarts):
            for place, target in enumerate(targets):
                search.run(restart * len(targets) + place, start=start if restart == 0 else None, target=target)
        return search.best
