"""The frame of the adapters: an attack of another library, by its name there, as a component."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, CountedModel, InradiusError, Observer, Oracles, PluginError, UnsupportedError
from inradius.attacks.verdict import against, unit
from inradius.components.validators import flag
from inradius.sets.examples import expand
from inradius.sets.lengthen import lengthen
from inradius_adapters.bridge import Bridge
from inradius_adapters.library import built, is_installed, load, named
from inradius_adapters.options import are_options, as_pairs, is_name
from inradius_adapters.problem import AttackProblem, ball_of, box_of, groups
from inradius_adapters.randomness import seeded

# what rounding to float32 and back makes of a perturbation on the border of the set, as a share of the box
_ROUNDING = 1e-6


@attrs.frozen(kw_only=True, init=False)
class Adapter(Attack, ABC):
    """An attack of another library, named ``attack`` there; other parameters go to its constructor as they are.

    The radius, the norm and the box come from the set. An answer that rounding moved out of the set by a millionth is moved
    back; any other that is not a member is rejected, as every attack's. ``minimal`` attacks are asked for the smallest
    perturbation, and the set's gauge measures it. The libraries draw from global generators, which are seeded by ``seed``
    and the first example of the batch and put back afterwards: equal batches have equal answers. With ``one_by_one``
    every example is attacked alone, and batch mates change nothing. ``start`` and ``observe`` are not used.
    """

    aims: ClassVar[bool] = True
    positional = ("attack",)
    package: ClassVar[str]
    module: ClassVar[str]
    remedy: ClassVar[str]
    from_set: ClassVar[frozenset[str]] = frozenset({"eps", "norm", "targeted"})

    attack: str = attrs.field(validator=is_name)
    options: tuple[tuple[str, Any], ...] = attrs.field(default=(), converter=as_pairs, validator=are_options)
    one_by_one: bool = attrs.field(default=False, validator=flag)

    def __init__(
        self, attack: str, *, seed: int = 0, options: object = (), one_by_one: bool = False, **more: object
    ) -> None:
        if more and isinstance(options, tuple | list | Mapping):
            options = dict(options) | more
        self.__attrs_init__(attack=attack, options=options, one_by_one=one_by_one, seed=seed)
        if not is_installed(self.package):
            raise UnsupportedError(f"{self} needs the package {self.package}, which is not installed; {self.remedy}")

    def spec(self, *, full: bool = False) -> str:
        own = {"seed": (self.seed, 0), "one_by_one": (self.one_by_one, False)}
        pairs = [*self.options, *((name, value) for name, (value, usual) in own.items() if full or value != usual)]
        return f"{self.spec_name()}({', '.join([repr(self.attack), *(f'{name}={value!r}' for name, value in pairs)])})"

    @property
    def minimal(self) -> bool:  # type: ignore[override]
        """True where the library looks for the smallest perturbation, so that no radius is given to it."""
        return self.is_minimal(self.kind())

    @abstractmethod
    def is_minimal(self, kind: Any) -> bool:
        """True where attacks of this kind look for the smallest perturbation."""

    @abstractmethod
    def adversarial(self, problem: AttackProblem) -> Tensor:
        """The library's answer as images in the box of the set, (B, *S)."""

    def kind(self) -> Any:
        """The library's class, or function. Raises ``SpecError`` with the nearest names where there is none such."""
        try:
            return self.chosen(load(self.module))
        except ImportError as error:
            raise UnsupportedError(
                f"{self} needs the package {self.package}, which does not import: {error}; {self.remedy}"
            ) from error

    def chosen(self, module: Any) -> Any:
        """The object that the name stands for in the library's module: a class, by default."""
        return named(module, self.attack)

    def build(self, *given: object, **own: object) -> Any:
        """The library's attack, with those of ``own`` that its constructor knows and the options of the spec."""
        return built(self.kind(), given, own, dict(self.options), self.from_set)

    def bridge(self, model: CountedModel, x: Tensor, bounds: Any) -> Bridge:
        """The model as the library calls it."""
        return Bridge(model, x)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        x, targeted = batch.x, batch.goal is not None
        delta = torch.zeros_like(x)
        for around, rows in groups(batch.threat, len(x), x.device):
            for part in torch.split(rows, 1 if self.one_by_one else max(1, len(rows))):
                seed = int(batch.rng.take(part[:1]).integers(0, 2**31 - 1))
                target = batch.y[part] if batch.goal is None else batch.goal[part]
                delta[part] = self._solve(batch.model.take(part), x[part], target, targeted, around, seed)
        return delta

    def _solve(
        self, model: CountedModel, x: Tensor, target: Tensor, targeted: bool, threat: Oracles, seed: int
    ) -> Tensor:
        order, eps = ball_of(threat)
        if not self.minimal and (order is None or not eps):
            if order is not None:
                return torch.zeros_like(x)
            raise UnsupportedError(
                f"{self} searches the ball of one norm, and {threat} is none; allowed are sets such as linf, l2 and l1"
            )
        bounds = box_of(threat, str(self))
        bridge = self.bridge(model, x, bounds)
        problem = AttackProblem(bridge, x, target, targeted, bounds, order, eps, seed)
        width = 1.0 if bounds is None else bounds[1] - bounds[0]
        delta = _settled(self._asked(problem) - x, x, threat, width)
        return self._past(model, x, target, targeted, threat, delta) if self.minimal else delta

    @torch.no_grad()
    def _past(
        self, model: CountedModel, x: Tensor, target: Tensor, targeted: bool, threat: Oracles, delta: Tensor
    ) -> Tensor:
        """The perturbations, those on the boundary a thousandth longer where that lowers the margin, (n, *S)."""

        def margin(images: Tensor) -> tuple[Tensor, Tensor]:
            logits = model(images)
            return logits, against(logits, target, target if targeted else None)

        logits, here = margin(x + delta)
        longer = lengthen(threat, delta, x)
        _, there = margin(x + longer)
        # what is beyond doubt stays as short as the library found it
        better = (here.abs() <= unit(x, logits) ** 0.5 * logits.abs().amax(1).clamp(min=1)) & (there < here)
        return torch.where(expand(better, delta), longer, delta)

    def _asked(self, problem: AttackProblem) -> Tensor:
        try:
            with seeded(problem.seed):
                return self.adversarial(problem).detach().to(problem.x).view_as(problem.x)
        except InradiusError:
            raise
        except Exception as error:  # a stranger's attack may raise anything, an assertion without a word among them
            reason = str(error).splitlines()[0] if str(error) else "no reason given"
            raise PluginError(f"{self} failed in {self.package}: {type(error).__name__}: {reason}") from error
        finally:
            problem.model.close()


def _settled(delta: Tensor, x: Tensor, threat: Oracles, width: float) -> Tensor:
    """The perturbations, those that rounding moved out of the set as their projections, (B, *S)."""
    finite = expand(torch.isfinite(delta).flatten(1).all(1), delta)
    nearest = threat.project(torch.where(finite, delta, 0), x)
    moved = (delta - nearest).flatten(1).abs().amax(1)
    return torch.where(expand(moved <= _ROUNDING * width, delta), nearest, delta)
