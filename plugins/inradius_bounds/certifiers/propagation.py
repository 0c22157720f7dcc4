"""The part that is common to the certifiers that propagate bounds: the batch is bounded in parts that fit into memory."""

from abc import abstractmethod
from typing import Any, ClassVar

import attrs
import torch
from attrs.validators import optional
from torch import Tensor, nn

from inradius import Bounds, Certifier, ExampleRNG, Oracles, Property
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius.components.validators import as_float, positive
from inradius_bounds.backward.certifier_bounds import bounds_of, narrowed, values_of
from inradius_bounds.backward.memory import in_parts
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.capture.trace import network_of, pooled_network_of
from inradius_bounds.network.network import Network
from inradius_bounds.network.value_bounds import ValueBounds

F32, F64 = torch.float32, torch.float64
# networks without larger values are faster to bound in float64 than with references
_LARGEST = 256


def memory_field() -> Any:
    """The field ``memory`` of a certifier: megabytes > 0, or None."""
    return attrs.field(default=None, validator=optional(positive), converter=attrs.converters.optional(as_float))


class PropagationCertifier(Certifier):
    """Bounds a property by bounds that pass through the network, without a solver.

    ``memory`` is the number of megabytes that rows may take, and None is a quarter of the free memory. ``from_reference`` says
    that passes count from the values at x, which costs one more evaluation and makes rounding errors smaller. ``doubles`` says that
    small networks with products are bounded in float64 at once, where errors are small also from 0. ``rows_at_once`` is the count
    of vectors of the widest value that are kept of one example; None for the count of the property's rows. ``passing`` says that
    boxes are dropped when they are not needed any more. ``pools`` says that maxima over windows are one node, whose planes have
    no lines that could be chosen.
    """

    widens = True
    from_reference: ClassVar[bool] = True
    doubles: ClassVar[bool] = False
    rows_at_once: ClassVar[int | None] = None
    passing: ClassVar[bool] = False
    pools: ClassVar[bool] = False
    memory: float | None

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        form = pooled_network_of if self.pools else network_of
        small = self.doubles and current_certificate() is not None and x.dtype in (F32, F64)
        small = small and _small(form(model, x, threat, F64))
        if small and x.dtype == F32:
            return narrowed(self.lower_bound(model, x.to(F64), threat, prop.to(F64), rng), F32)
        about = self.from_reference and not small
        values = values_of(model, x, threat, about=about, memory=self.memory, form=form, passing=self.passing)
        found = in_parts(values, prop, self.closed_rows, self.numbers_of_row(values), self.rows_at_once)
        return bounds_of(values, found, exact=threat.tight and values.network.affine)

    @abstractmethod
    def closed_rows(self, values: ValueBounds, prop: Property) -> ClosedRows:
        """Lower bounds of the property's rows for a part of the batch, (B, K)."""

    def numbers_of_row(self, values: ValueBounds) -> int:
        """The count of numbers that are kept of one row, where it is more than the widest value has; 0 by default."""
        return 0


def _small(network: Network) -> bool:
    """True if a network has products of values, and no value with more than a few hundred numbers."""
    return bool(network.products) and network.widest <= _LARGEST
