"""Attacks of the Adversarial Robustness Toolbox."""

import math
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor, nn

from inradius import UnsupportedError
from inradius_adapters.adapter import Adapter
from inradius_adapters.library import knows, load
from inradius_adapters.problem import AttackProblem

_NORMS: dict[float, float] = {math.inf: math.inf, 2.0: 2, 1.0: 1}


@attrs.frozen(kw_only=True, init=False)
class ART(Adapter):
    """An evasion attack of ART by the name of its class, ``art('AutoProjectedGradientDescent')``; other parameters go to it.

    An attack without a parameter ``eps`` is one for the smallest perturbation and runs on any set. The library computes on
    the CPU with NumPy in float32.
    Equal batches have equal answers; with ``one_by_one`` batch mates change nothing.
    Source: nicolae2018.
    """

    package: ClassVar[str] = "art"
    module: ClassVar[str] = "art.attacks.evasion"
    remedy: ClassVar[str] = 'pip install "inradius[art]" brings it (PyPI: adversarial-robustness-toolbox)'

    def is_minimal(self, kind: Any) -> bool:
        return not knows(kind, "eps")

    def adversarial(self, problem: AttackProblem) -> Tensor:
        kind = self.kind()
        if problem.targeted and not knows(kind, "targeted"):
            raise UnsupportedError(f"{self} cannot aim at a class")
        attack = self.build(
            self._classifier(problem),
            eps=problem.eps,
            targeted=problem.targeted,
            verbose=False,
            **self._norm(kind, problem.order),
        )
        found = attack.generate(x=problem.x.cpu().float().numpy(), y=problem.target.cpu().numpy())
        return torch.as_tensor(found)

    def _classifier(self, problem: AttackProblem) -> Any:
        library = load("art.estimators.classification")
        return library.PyTorchClassifier(
            model=problem.model,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(problem.x.shape[1:]),
            nb_classes=problem.model.classes(),
            clip_values=problem.bounds,
            device_type="cpu",  # the model itself stays where it is
        )

    def _norm(self, kind: Any, order: float | None) -> dict[str, float]:
        chosen = knows(kind, "norm")
        allowed = _NORMS if chosen else {math.inf: math.inf}
        if order not in allowed:
            if self.is_minimal(kind):
                return {}
            names = "linf, l2 and l1" if chosen else "linf"
            raise UnsupportedError(f"{self} does not search the ball of order {order:g}; allowed is {names}")
        return {"norm": allowed[order]} if chosen else {}
