"""The certifier ``certifier_cascade``: one certifier after the other, each for the examples that are still open."""

from collections.abc import Callable
from typing import Any, cast

import attrs
import torch
from attrs.validators import optional
from torch import Tensor, nn

from inradius import Bounds, Certifier, ExampleRNG, Oracles, Property, UnsupportedError
from inradius.components.validators import as_float, integer, positive
from inradius_bounds.certifiers.alpha import Alpha
from inradius_bounds.certifiers.branch_and_bound import BranchAndBound
from inradius_bounds.certifiers.crown import Crown
from inradius_bounds.certifiers.dual import Dual
from inradius_bounds.certifiers.highest_bounds import HighestBounds
from inradius_bounds.certifiers.interval import Interval
from inradius_bounds.certifiers.last_search import LastSearch
from inradius_bounds.certifiers.promise import promising
from inradius_bounds.certifiers.refutation import refuted
from inradius_bounds.certifiers.solver_answers import verdicts_of

STANDARD: tuple[Certifier, ...] = (Interval(), Dual(), Crown(), Alpha(), Alpha(layers="all"))


def _members(_: Any, __: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(member, Certifier) for member in value):
        raise ValueError(
            f"members={value!r} is not allowed; allowed are certifiers, as in certifier_cascade(interval, dual)"
        )


@attrs.frozen(kw_only=True)
class CertifierCascade(Certifier):
    """Runs ``members`` in order and keeps the highest bound of each row.

    Each member runs only on examples that are not yet certified. By default the members are interval, dual, crown, alpha and
    alpha over all layers, the cheapest first. Before ``alpha``, or with given members before the last one, ``steps`` of
    gradient descent look for a perturbation that refutes the property. An example for which one is found is passed to no
    further member; ``steps=0`` looks for none. The claim of an example is the weakest of the claims of the members that its
    bounds come from.

    With ``seconds``, the time for each example, the cascade ends with ``branch_and_bound``, which searches every example without
    a proof and tells a perturbation that violates the property (``Certificate.witness``). The time is that of all members: once a
    batch has spent it, no further member begins, and the search gets what is left, at most ``seconds`` for each example. What is
    still open when a limit ends it depends on the machine's speed.

    Alpha over all layers costs more than all the others. ``Alpha(layers='all')`` runs only on examples whose lowest bound b
    satisfies −b ≤ share · (m − b), with m the smallest value at x and share = min(0.85, promise · (non-linear layers − 1)). Of
    2596 open examples of networks of two to eight layers, this rule skipped none of the 306 that alpha over all layers
    certifies, at 30 % of the CPU time of alpha over all layers. For untrained networks of twelve layers it skipped some that alpha
    certifies. ``promise=None`` skips none.
    """

    positional = ("*members",)

    members: tuple[Certifier, ...] = attrs.field(default=(), validator=_members, converter=tuple)
    # 20 steps refute the easy examples; the bracket's attacks do the rest
    steps: int = attrs.field(default=20, validator=integer)
    # in benchmarks/cascade_promise.py the largest share that a certified example needed was 0.119 for each layer
    promise: float | None = attrs.field(
        default=cast("float | None", 0.125), validator=optional(positive), converter=attrs.converters.optional(as_float)
    )
    seconds: float | None = attrs.field(
        default=None, validator=optional(positive), converter=attrs.converters.optional(as_float)
    )

    @property
    def widens(self) -> bool:  # type: ignore[override]
        """True if every member also takes inputs in a wider type than the model's own."""
        return all(member.widens for member in self._chosen)

    def subject(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """The function that all members certify."""
        last: tuple[Certifier, ...] = () if self.seconds is None else (BranchAndBound(),)
        subjects = [member.subject(model) for member in (*self._chosen, *last)]
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
        """The place of the member that is run for promising examples alone; −1 where members are given."""
        return -1 if self.members else len(STANDARD) - 1

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        last = None if self.seconds is None else LastSearch.of(self, self.seconds, len(x))
        best = HighestBounds.of(prop.offsets)
        left = torch.arange(len(x), device=x.device)
        for place, member in enumerate(self._chosen):
            if last is not None and best.parts and last.over:
                break
            left = self._still(place, left, best.value, model, x, threat, prop)
            if not len(left):
                break
            part = prop.select(left)
            with verdicts_of(left):
                best.take(left, member.lower_bound(model, x[left], threat.select(left), part, rng.take(left)))
            left = left[best.undecided(prop)[left]]
        if last is not None:
            last.run(best, model, x, threat, prop, rng)
        return best.bounds()

    def _still(
        self, place: int, left: Tensor, best: Tensor, model: nn.Module, x: Tensor, threat: Oracles, prop: Property
    ) -> Tensor:
        """The examples of ``left`` that are neither refuted nor without promise for the member at this place, as indices."""
        if place == self._refute_before and self.steps and len(left):
            left = left[~refuted(model, x[left], threat.select(left), prop.select(left), self.steps)]
        if place == self._last_of_standard and self.promise is not None and len(left):
            part, chosen = prop.select(left), threat.select(left)
            left = left[promising(model, x[left], chosen, part, best[left], self.promise)]
        return left
