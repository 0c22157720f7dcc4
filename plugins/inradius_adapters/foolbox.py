"""Attacks of Foolbox."""

from typing import Any, ClassVar

import attrs
from torch import Tensor

from inradius import UnsupportedError
from inradius_adapters.adapter import Adapter
from inradius_adapters.library import load
from inradius_adapters.problem import AttackProblem


@attrs.frozen(kw_only=True, init=False)
class Foolbox(Adapter):
    """An attack of Foolbox by the name of its class, ``foolbox('LinfPGD', steps=40)``; other parameters go to it.

    Its attacks with a fixed radius need the ball of their own norm; its minimisation attacks run on any set with a box.
    Equal batches have equal answers; with ``one_by_one`` batch mates change nothing.
    Source: rauber2017.
    """

    package: ClassVar[str] = "foolbox"
    module: ClassVar[str] = "foolbox.attacks"
    remedy: ClassVar[str] = 'pip install "inradius[foolbox]" brings it'
    from_set: ClassVar[frozenset[str]] = frozenset({"eps", "epsilon", "epsilons", "norm", "targeted"})

    def is_minimal(self, kind: Any) -> bool:
        return issubclass(kind, load("foolbox.attacks.base").MinimizationAttack)

    def adversarial(self, problem: AttackProblem) -> Tensor:
        library = load("foolbox")
        if problem.bounds is None:
            raise UnsupportedError(f"{self} needs the box of valid inputs; give the set bounds=(low, high)")
        distance = None if problem.order is None else library.distances.LpDistance(problem.order)
        attack = self.build(distance=distance)
        if not self.minimal and attack.distance.p != problem.order:
            raise UnsupportedError(
                f"{self} searches the ball of the norm of order {attack.distance.p:g}, and the set has {problem.order:g}"
            )
        model = library.PyTorchModel(problem.model, bounds=problem.bounds, device=problem.x.device)
        aimed = library.criteria.TargetedMisclassification if problem.targeted else library.criteria.Misclassification
        epsilon = None if self.minimal else problem.eps
        raw, clipped, _ = attack(model, problem.x, aimed(problem.target), epsilons=epsilon)
        found: Tensor = raw if self.minimal else clipped
        return found
