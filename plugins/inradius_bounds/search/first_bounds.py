"""The bounds from which a search starts: one backward pass for all examples."""

import attrs
from torch import Tensor, nn

from inradius import Oracles, Property
from inradius_bounds.backward.certifier_bounds import bounds_of, values_of
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.backward.memory import in_parts
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.certifiers.crown import closed
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area


@attrs.frozen(eq=False)
class FirstBounds:
    """The bounds of a batch in float64: of the network's values, without boxes, and of the property's rows (B, K)."""

    values: ValueBounds
    prop: Property
    rows: ClosedRows
    claims: tuple[str, ...]

    @classmethod
    def of(cls, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, memory: float | None) -> "FirstBounds":
        """The bounds that ``crown`` gives for inputs x (B, *S)."""
        wide = x.double()
        values, asked = values_of(model, wide, threat, memory=memory), prop.to(wide.dtype)
        rows = in_parts(
            values, asked, lambda part, its: closed(relax_curves(part, relax=smallest_area), its), values.network.widest
        )
        return cls(values, asked, rows, bounds_of(values, rows).claims)

    def select(self, index: Tensor) -> "FirstBounds":
        """The bounds of the chosen examples."""
        claims = tuple(self.claims[place] for place in index.tolist())
        rows = self.rows.combined(self.rows, lambda mine, _: mine[index])
        return FirstBounds(self.values.select(index), self.prop.select(index), rows, claims)

    @property
    def safe(self) -> Tensor:
        """The bounds minus all rounding errors, (B, K); −∞ where these are not finite."""
        return self.rows.proved

    @property
    def noise(self) -> float:
        """The largest rounding error of a row."""
        return float(self.rows.owed.nan_to_num(posinf=1.0).amax()) if self.rows.value.numel() else 0.0
