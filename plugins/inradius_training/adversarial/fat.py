"""Friendly adversarial training."""

from itertools import pairwise
from typing import Any

import attrs
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, InnerProblem, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import as_floats, component
from inradius.training.losses import cross_entropy


def _patient(instance: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    component(Attack)(instance, field, value)
    if not hasattr(value, "tau"):
        raise ValueError(f"{field.name}={value} has no tau; allowed are attacks that stop, such as friendly_pgd()")


def _shares(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    shares = value if isinstance(value, tuple) else (None,)
    valid = all(isinstance(share, float) and 0 <= share <= 1 for share in shares)
    if not valid or any(a >= b for a, b in pairwise(shares)):
        raise ValueError(
            f"{field.name}={value!r} is not allowed; allowed are growing shares of the run, as in (0.4, 0.75)"
        )


@attrs.frozen(kw_only=True)
class FAT(AdversarialDefense):
    """Minimises E CE(f(x + δ), y), where δ is PGD's first misclassified iterate, or the one τ misclassified iterates later.

    τ is that of the attack, plus 1 for each share in ``later`` that the run has passed. The batch keeps its order.
    Checkpoints are compared by the attack as given. Source: zhang2020fat.
    """

    name = "fat"

    # Zhang et al. 2020, sec. 6: ten steps of 0.007 for ε = 0.031
    attack: Attack = attrs.field(
        factory=default("friendly_pgd(steps=10, step=0.25)", Attack, of="attack of fat"), validator=_patient
    )
    # Zhang et al. 2020, the released schedule: τ = 1 from epoch 51 of 120 on, τ = 2 from epoch 91 on
    later: tuple[float, ...] = attrs.field(default=(50 / 120, 90 / 120), validator=_shares, converter=as_floats)

    def tau(self, progress: float) -> int:
        """τ when a share ``progress`` of the run is done: how many misclassified iterates the attack passes before it stops."""
        attack: Any = self.attack
        return int(attack.tau) + sum(progress >= share for share in self.later)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each example at the point where its attack stopped, (B,)."""
        changes: dict[str, Any] = {"tau": self.tau(run.progress)}
        search = InnerProblem(attack=attrs.evolve(self.attack, **changes), threat=threat)
        return cross_entropy(run.views(model, batch, search, bn_mode=self.bn_mode).attacked(model), batch)
