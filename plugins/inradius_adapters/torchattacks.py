"""Attacks of torchattacks."""

import math
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from inradius import CountedModel, UnsupportedError
from inradius_adapters.adapter import Adapter
from inradius_adapters.bridge import Bridge
from inradius_adapters.library import knows
from inradius_adapters.problem import AttackProblem

_NORMS = {math.inf: "Linf", 2.0: "L2"}


@attrs.frozen(kw_only=True, init=False)
class Torchattacks(Adapter):
    """An attack of torchattacks by the name of its class, ``torchattacks('PGD', steps=40)``; other parameters go to it.

    An attack without a parameter ``eps`` is one for the smallest perturbation and runs on any set with a box. The library
    knows images in [0, 1] alone: others are mapped there, and lengths such as ``alpha`` are shares of the box.
    Equal batches have equal answers; with ``one_by_one`` batch mates change nothing.
    Source: kim2020.
    """

    package: ClassVar[str] = "torchattacks"
    module: ClassVar[str] = "torchattacks"
    remedy: ClassVar[str] = "pip install --no-deps torchattacks brings it and keeps torch as it is"

    def is_minimal(self, kind: Any) -> bool:
        return not knows(kind, "eps")

    def bridge(self, model: CountedModel, x: Tensor, bounds: Any) -> Bridge:
        if bounds is None:
            raise UnsupportedError(f"{self} needs the box of valid inputs; give the set bounds=(low, high)")
        return Bridge(model, x, bounds)

    def adversarial(self, problem: AttackProblem) -> Tensor:
        low, high = problem.bounds or (0.0, 1.0)
        width = high - low
        attack = self.build(
            problem.model,
            eps=None if problem.eps is None else problem.eps / width,
            norm=self._norm(problem.order),
            seed=problem.seed,
            **self._classes(problem),
        )
        if problem.targeted:
            self._aim(attack)
        unit = problem.unit
        # its attacks know images alone
        images = unit if unit.ndim == 4 else unit.flatten(1)[:, None, None]
        with torch.enable_grad():
            found: Tensor = attack(images, problem.target)
        return problem.back(found)

    def _norm(self, order: float | None) -> str | None:
        kind = self.kind()
        if self.is_minimal(kind):
            return _NORMS.get(order) if order is not None else None
        chosen = knows(kind, "norm")
        own = 2.0 if self.attack.endswith("L2") else math.inf
        if order not in _NORMS or not (chosen or order == own):
            allowed = "linf and l2" if chosen else "l2" if own == 2 else "linf"
            raise UnsupportedError(f"{self} does not search the ball of order {order:g}; allowed is {allowed}")
        return _NORMS[order]

    def _classes(self, problem: AttackProblem) -> dict[str, int]:
        wanted = knows(self.kind(), "n_classes")
        return {"n_classes": problem.model.classes()} if wanted else {}

    def _aim(self, attack: Any) -> None:
        if "targeted" not in attack.supported_mode:
            raise UnsupportedError(f"{self} cannot aim at a class")
        attack.set_mode_targeted_by_label(quiet=True)
