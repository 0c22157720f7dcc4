"""One certifier after the other, each for the examples that are left."""

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import attrs
import torch
from attrs.validators import optional
from torch import Tensor, nn

from inradius import Bounds, Certifier, Oracles, Property, Streams, UnsupportedError
from inradius.certificate import CLAIMS
from inradius.validators import as_float, integer, positive
from inradius_bounds.alpha import Alpha
from inradius_bounds.crown import Crown
from inradius_bounds.dual import Dual
from inradius_bounds.interval import Interval
from inradius_bounds.refutation import refuted

STANDARD: tuple[Certifier, ...] = (Interval(), Dual(), Crown(), Alpha(), Alpha(layers="all"))


def _members(_: Any, __: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(member, Certifier) for member in value):
        raise ValueError(
            f"members={value!r} is not allowed; allowed are certifiers, as in certifier_cascade(interval, dual)"
        )


@attrs.frozen(kw_only=True)
class CertifierCascade(Certifier):
    """The highest of the bounds of ``members``, run in the order given, each on the examples that are still open.

    Without members they are interval, dual, crown, alpha and alpha over all layers: cheap ones first, and an example costs
    what it needs. Before ``alpha``, or with members given before the last one, ``steps`` of gradient descent look for a
    perturbation that refutes the property; an example that has one is given up (``steps=0``: none is). After ``seconds``
    no further member begins; what is open then depends on the machine. An example's bound is the best that it has seen, and
    its claim the weakest of those of the members that its bounds are from.

    Alpha over all layers costs more than all the others. It is left out for an example whose worst margin is still further
    from 0 than ``promise`` times what alpha over the last layer gained there: what it adds was below 1.8 times that gain on
    every example that was measured. ``promise=None`` leaves none out.
    """

    positional = ("*members",)

    members: tuple[Certifier, ...] = attrs.field(default=(), validator=_members, converter=tuple)
    # enough to break what breaks easily; the bracket's attacks do the rest
    steps: int = attrs.field(default=20, validator=integer)
    promise: float | None = attrs.field(
        default=cast("float | None", 2.5), validator=optional(positive), converter=attrs.converters.optional(as_float)
    )
    seconds: float | None = attrs.field(
        default=None, validator=optional(positive), converter=attrs.converters.optional(as_float)
    )

    @property
    def widens(self) -> bool:  # type: ignore[override]
        """Whether all members take inputs in a wider type."""
        return all(member.widens for member in self._chosen)

    def subject(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """What all members certify."""
        subjects = [member.subject(model) for member in self._chosen]
        if any(subject is not subjects[0] and subject != subjects[0] for subject in subjects):
            raise UnsupportedError(f"the members of {self} certify different functions; give each a cascade of its own")
        return subjects[0]

    @property
    def _chosen(self) -> tuple[Certifier, ...]:
        return self.members or STANDARD

    @property
    def _refute_before(self) -> int:
        return len(self._chosen) - (2 if not self.members else 1)

    @property
    def _last_of_standard(self) -> int:
        """The place of the member that is worth its cost for promising examples alone; −1 where members were given."""
        return -1 if self.members else len(STANDARD) - 1

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        started = time.monotonic()
        best = before = torch.full_like(prop.offsets, -torch.inf)
        level = torch.zeros_like(best, dtype=torch.int64)
        parts: list[tuple[Tensor, Bounds]] = []
        left = torch.arange(len(x), device=x.device)
        for place, member in enumerate(self._chosen):
            if not len(left) or (self.seconds is not None and parts and time.monotonic() - started > self.seconds):
                break
            if place == self._refute_before and self.steps:
                left = left[~refuted(model, x[left], threat.select(left), prop.select(left), self.steps)]
                if not len(left):
                    break
            if place == self._last_of_standard and self.promise is not None:
                part = prop.select(left)
                left = left[_promising(part.weakest(best[left].detach()), part.weakest(before[left]), self.promise)]
                if not len(left):
                    break
            before, part = best.detach(), prop.select(left)
            bounds = member.lower_bound(model, x[left], threat.select(left), part, rng.take(left))
            level[left] = torch.where(bounds.value.detach() > best[left].detach(), _levels(bounds, best), level[left])
            best = best.index_put((left,), torch.maximum(best[left], bounds.value.nan_to_num(nan=-torch.inf)))
            parts.append((left, bounds))
            left = left[~part.holds(best[left].detach() > 0)]
        # the best of several bounds is wrong where one of them is
        failure = min(1.0, sum(bounds.failure_probability for _, bounds in parts))
        claim = tuple(CLAIMS[place] for place in level.amax(1).tolist())
        exact = len(parts) == 1 and parts[0][1].exact
        return Bounds(best, failure_probability=failure, exact=exact, error=lambda: _error(best, parts), claim=claim)


def _levels(bounds: Bounds, like: Tensor) -> Tensor:
    """The level of each example's bounds as a number, the weakest the largest, (B, 1)."""
    return torch.tensor([[CLAIMS.index(claim)] for claim in bounds.claims], dtype=torch.int64, device=like.device)


def _promising(worst: Tensor, before: Tensor, promise: float) -> Tensor:
    """Whether the weakest clause is nearer to 0 than ``promise`` times what it gained, (B,), (B,) -> (B,)."""
    # also where nothing is known of before
    return -worst <= promise * (worst - before).clamp(min=0)


def _error(best: Tensor, parts: Sequence[tuple[Tensor, Bounds]]) -> Tensor:
    """For each example the largest rounding error of the bounds that it has."""
    error = torch.zeros_like(best).detach()
    for index, bounds in parts:
        found = bounds.error() if callable(bounds.error) else bounds.error
        if found is None:
            # what the interface assumes of a certifier that does not track rounding
            found = (1 + bounds.value.detach().abs()) * float(torch.finfo(best.dtype).eps) ** 0.5
        error[index] = torch.maximum(error[index], found.detach().to(error))
    return error
