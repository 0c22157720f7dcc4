"""Attacks of adv-lib."""

import inspect
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from inradius import CountedModel, UnsupportedError
from inradius_adapters.adapter import Adapter
from inradius_adapters.bridge import Bridge
from inradius_adapters.library import called, knows, named_function
from inradius_adapters.problem import AttackProblem

# the names of a radius, and of the order of a norm, among the parameters
_RADII = ("eps", "ε")
_NORMS = ("norm", "p")


@attrs.frozen(kw_only=True, init=False)
class AdvLib(Adapter):
    """An attack of adv-lib by the name of its function, ``adv_lib('fmn', steps=100)``; other parameters go to it.

    A function that must be given a radius runs on balls of a norm; any other looks for the smallest perturbation and runs on any
    set with a box. Where the set is no ball of a norm, ``norm`` says in which one such a function searches, as in
    ``adv_lib('fmn', norm=0)`` for ℓ0. The library knows images in [0, 1] alone: others are mapped there.
    Equal batches have equal answers; with ``one_by_one`` batch mates change nothing.
    Source: rony2020.
    """

    name: ClassVar[str] = "adv_lib"
    package: ClassVar[str] = "adv_lib"
    module: ClassVar[str] = "adv_lib.attacks"
    remedy: ClassVar[str] = "pip install adv-lib brings it, with torchvision and visdom, which it imports"
    from_set: ClassVar[frozenset[str]] = frozenset({*_RADII, "targeted"})

    def chosen(self, module: Any) -> Any:
        return named_function(module, self.attack, ("model", "inputs", "labels"))

    def is_minimal(self, kind: Any) -> bool:
        return self._radius(kind) is None

    def bridge(self, model: CountedModel, x: Tensor, bounds: Any) -> Bridge:
        if bounds is None:
            raise UnsupportedError(f"{self} needs the box of valid inputs; give the set bounds=(low, high)")
        return Bridge(model, x, bounds)

    def adversarial(self, problem: AttackProblem) -> Tensor:
        kind = self.kind()
        own: dict[str, object] = {**self._norm(kind, problem), **self._size(kind, problem)}
        if problem.targeted and not knows(kind, "targeted"):
            raise UnsupportedError(f"{self} cannot aim at a class")
        given = {"model": problem.model, "inputs": problem.unit.clone(), "labels": problem.target.clone()}
        with torch.enable_grad():
            found: Tensor = called(kind, given, own | {"targeted": problem.targeted}, dict(self.options), self.from_set)
        return problem.back(found)

    def _size(self, kind: Any, problem: AttackProblem) -> dict[str, float]:
        radius = self._radius(kind)
        if radius is None or problem.eps is None:
            return {}
        width = 1.0 if problem.bounds is None else problem.bounds[1] - problem.bounds[0]
        return {radius: problem.eps / width}

    def _norm(self, kind: Any, problem: AttackProblem) -> dict[str, float]:
        parameter = next((name for name in _NORMS if knows(kind, name)), None)
        if parameter is None:
            if not self.is_minimal(kind) and problem.order != torch.inf:
                raise UnsupportedError(f"{self} does not search the ball of order {problem.order:g}; allowed is linf")
            return {}
        if problem.order is not None:
            return {parameter: problem.order}
        if parameter not in dict(self.options):
            raise UnsupportedError(
                f"{self} searches in one norm, and the set is no ball of one; give {parameter}=0, 1 or 2 in the spec"
            )
        return {}

    def _radius(self, kind: Any) -> str | None:
        """The parameter of the radius that must be given, None where there is none."""
        parameters = inspect.signature(kind).parameters
        return next(
            (name for name in _RADII if name in parameters and parameters[name].default is inspect.Parameter.empty),
            None,
        )
