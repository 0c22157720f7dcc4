"""The certifier ``branch_and_bound``: complete verification over convex sets."""

from typing import cast

import attrs
import torch
from attrs.validators import optional
from torch import Tensor, nn

from inradius import Bounds, Certifier, ExampleRNG, Oracles, Property
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius.components.validators import as_float, count, integer, positive
from inradius_bounds.certifiers.crown import Crown
from inradius_bounds.certifiers.propagation import memory_field
from inradius_bounds.search.batch_search import decisions
from inradius_bounds.search.decision import Decision
from inradius_bounds.search.first_bounds import FirstBounds
from inradius_bounds.search.search_settings import SearchSettings


@attrs.frozen(kw_only=True)
class BranchAndBound(Certifier):
    """Decides a property: Δ(x) is split until each part is proved, or a perturbation is found that violates the property.

    A part is the set of perturbations for which some neurons are active and some are not. Its bound is a backward pass with
    multipliers of these conditions, closed by the set's support function, so that every set can be split. In a part in which
    the network is affine, the minimum is found by linear programs over maximisers of the set. For ReLU networks and compact
    convex sets with exact ``support`` and ``linear_max`` the search is complete: without a limit of time it decides every
    property whose smallest clause is further than ``tolerance`` from 0. Sets that are unions of few convex parts
    (``convex_parts``) are searched part by part. For other sets that are not convex, and for networks with smooth activations
    or products, it is sound and may end undecided. Boxes of few inputs are split along the inputs instead. ``seconds`` limits
    the search of each example (None: no limit). What a limit of time leaves undecided depends on the machine. ``domains`` limits
    the number of parts that are bounded instead, after which a search ends once its batch is done: equal calls then end alike.
    With ``domains=0`` nothing is split, and the bounds are those of ``crown``, as are bounds for training. ``steps`` is the number
    of ascents on the multipliers of a part. ``memory`` is the number of megabytes that rows may take; by default a quarter of the
    free memory. Source: bunel2020, wang2021, depalma2021.
    """

    seconds: float | None = attrs.field(
        default=cast("float | None", 60.0), validator=optional(positive), converter=attrs.converters.optional(as_float)
    )
    tolerance: float = attrs.field(default=1e-7, validator=positive)
    steps: int = attrs.field(default=8, validator=count)
    memory: float | None = memory_field()
    domains: int | None = attrs.field(default=None, validator=optional(integer))

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        if current_certificate() is None:
            # bounds to train on, which a search does not give
            return Crown(memory=self.memory).lower_bound(model, x, threat, prop, rng)
        first = FirstBounds.of(model, x, threat, prop, self.memory)
        settings = SearchSettings(self.seconds, self.tolerance, self.steps, self.memory, self.domains)
        found = decisions(first, model, x, threat, prop, settings)
        return _bounds(first, found, x)


def _bounds(first: FirstBounds, found: list[Decision], x: Tensor) -> Bounds:
    """The bounds of all examples, in the type of x, with the witnesses."""
    value = _rounded_down(torch.stack([decision.value for decision in found]), x.dtype)
    witness = None
    if any(decision.witness is not None for decision in found):
        none = torch.full_like(x[:1], torch.nan)
        witness = torch.cat([none if decision.witness is None else decision.witness for decision in found])
    unsure = torch.tensor([[decision.unsure] for decision in found], device=x.device)
    return Bounds(
        value,
        error=torch.zeros_like(value),
        claim=tuple("real" if each.real else claim for each, claim in zip(found, first.claims, strict=True)),
        # what rounding of the model's own execution left undecided may be decided without it
        float_cost=torch.where(unsure, torch.inf, 0.0).to(value).expand_as(value),
        proved=torch.tensor([decision.proved for decision in found], device=x.device),
        witness=witness,
    )


def _rounded_down(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Numbers in another type, no larger than they are."""
    found = value.to(dtype)
    below = torch.nextafter(found, torch.full_like(found, -torch.inf))
    return torch.where(found.to(value.dtype) > value, below, found)
