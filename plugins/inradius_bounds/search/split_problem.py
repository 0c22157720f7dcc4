"""The question of a search over neurons: bounds of a network's values over some sets, and the clauses to prove there."""

from functools import cached_property

import attrs
import torch
from torch import Tensor, nn

from inradius_bounds.backward.certifier_bounds import values_of
from inradius_bounds.box import Box
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.reduced_network import ReducedNetwork
from inradius_bounds.search.split_layout import SplitLayout

# the most numbers of a network in its reduced form
_REDUCED = 2**25


@attrs.frozen(eq=False, slots=False)
class SplitProblem:
    """The bounds of a network's values with the boxes of all curves' inputs, and the clauses that hold for each of its P sets.

    rough: these bounds without rounding errors, in the type in which ascents run. Nothing that is proved rests on them.
    """

    root: ValueBounds
    clauses: Clauses
    rough: ValueBounds = attrs.field(default=attrs.Factory(lambda self: self.root.plain, takes_self=True))

    @classmethod
    def of(cls, model: nn.Module, root: ValueBounds, clauses: Clauses, dtype: torch.dtype) -> "SplitProblem":
        """The question about a model whose inputs have a type. Ascents run in float32 where it is not float64."""
        return cls(root, clauses) if dtype == torch.float64 else cls(root, clauses, _single(model, root))

    @cached_property
    def layout(self) -> SplitLayout:
        """The places of the numbers at which domains are split."""
        return SplitLayout.of(self.root)

    @cached_property
    def rough_layout(self) -> SplitLayout:
        """The same places for the network of the bounds without rounding errors."""
        return self.layout.on(self.rough.network)

    @cached_property
    def reduced(self) -> ReducedNetwork | None:
        """The reduced form of the network for ascents; None where there are several sets, or where it would be large."""
        network, layout = self.rough.network, self.rough_layout
        numbers = layout.size * (layout.size + self.rough.end.stored.numel())
        if len(self.root.x) > 1 or network.products or numbers > _REDUCED:
            return None
        return ReducedNetwork.of(self.rough, layout)

    @cached_property
    def limits(self) -> Box:
        """The limits of these numbers over each set, two of (P, N)."""
        return self.layout.limits(self.root)

    @property
    def undecided(self) -> Tensor:
        """The count of numbers whose curve is not a line over a set, (P,)."""
        return self.layout.undecided(*self.limits).sum(1)

    def whole(self, clause: Tensor, part: Tensor | None = None) -> Domains:
        """Each of the sets ``part`` (D,), by default the first, as one domain for the clause beside it (D,)."""
        part = torch.zeros_like(clause) if part is None else part
        low, high = (side[part] for side in self.limits)
        unknown = low.new_full((len(part),), -torch.inf)
        return Domains(
            part=part,
            clause=clause,
            bound=unknown,
            real=unknown,
            low=low,
            high=high,
            share=torch.full_like(low, 0.5),
            multiplier=torch.zeros_like(low),
            side=torch.zeros(low.shape, dtype=torch.int8, device=low.device),
            weights=self.clauses.even(clause),
            rank=unknown,
            number=torch.full_like(part, -1),
            point=torch.zeros_like(unknown),
        )


def _single(model: nn.Module, root: ValueBounds) -> ValueBounds:
    """Bounds in float32 without rounding errors, with the boxes of ``root``."""
    found = values_of(model, root.x.float(), root.threat)
    single = ValueBounds(found.network, found.x, found.threat, None, about=found.about, limit=found.limit)
    for node, own in zip(root.network.nodes, single.network.nodes, strict=True):
        if node in root.boxes:
            low, high = root.boxes[node]
            single.boxes[own] = low.float(), high.float()
    return single
