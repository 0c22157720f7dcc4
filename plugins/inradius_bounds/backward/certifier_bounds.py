"""The first and the last step of a certifier: bounds of a model's values before any box, and ``Bounds`` from closed rows."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from inradius import Bounds, Oracles
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius_bounds.backward.memory import row_limit
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.capture.trace import network_of, trace
from inradius_bounds.detached import detached
from inradius_bounds.network.network import Network
from inradius_bounds.network.reference import Reference
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import Rounding

# a function that gives the network of a model for inputs like x and a set, in a type
NetworkForm = Callable[[nn.Module, Tensor, Oracles, torch.dtype], Network]

# rounding moves inner bounds as well, which the error of the last pass does not show; this factor estimates the sum
_INNER = 4
# a bound that proves nothing is doubtful where rounding has more than this share in the width of inner bounds
_NOISY = 0.02


def values_of(
    model: nn.Module,
    x: Tensor,
    threat: Oracles,
    *,
    about: bool = True,
    memory: float | None = None,
    form: NetworkForm = network_of,
    passing: bool = False,
) -> ValueBounds:
    """The bounds of a model's values for inputs x (B, *S), without boxes yet. Rounding is bounded except in training.

    about: true where passes count from the values at x, which costs more than it helps where there are few passes. memory: the
    megabytes that rows may take; None for a share of the free memory. In training the memory has no limit. form: the function that
    gives the network of a model. passing: true where only boxes that are asked for are kept.
    """

    network = form(model, x, threat, x.dtype)
    rounding = rounding_of(network, x)
    reference = _reference(model, network, x, threat, rounding, form) if about and rounding is not None else None
    limit = None if rounding is None else row_limit(memory, x)
    return ValueBounds(network, x, threat, rounding, about=reference, limit=limit, passing=passing)


def chained(model: nn.Module, x: Tensor, threat: Oracles, dtype: torch.dtype) -> Network:
    """The network of a model's chain of layers, where products of two values are made of squares."""
    return trace(model, x, threat, dtype).network


def _reference(
    model: nn.Module, network: Network, x: Tensor, threat: Oracles, rounding: Rounding, form: NetworkForm = network_of
) -> Reference:
    wide = x.detach().to(torch.float64)
    other = network if x.dtype == wide.dtype else form(model, x, threat, wide.dtype)
    values = ValueBounds(other, wide, threat, Rounding(wide.dtype, rounding.execution))
    return Reference(values, dict(zip(network.nodes, other.nodes, strict=True)))


def rounding_of(network: Network, x: Tensor) -> Rounding | None:
    """The arithmetic of bounds of a network for inputs like x: its type, and the executions for which the bounds must hold."""
    proof = current_certificate()
    if proof is None:
        return None if torch.is_grad_enabled() else Rounding(x.dtype)
    return Rounding(x.dtype, proof.dtype if proof.claim == "float" and network.executed else None)


def narrowed(bounds: Bounds, dtype: torch.dtype) -> Bounds:
    """The bounds in a shorter type, whose errors include those of the conversion."""
    assert isinstance(bounds.error, Tensor), "the bounds of a certificate have errors"
    value = bounds.value.to(dtype)
    info = torch.finfo(dtype)
    # the difference of a bound and its error is rounded as well, where it is made in the shorter type
    error = bounds.error + (value.to(bounds.value.dtype) - bounds.value).abs() + info.eps * bounds.value.abs()
    raised = (error * (1 + 4 * info.eps)).to(dtype) + info.smallest_normal
    cost = bounds.float_cost
    return attrs.evolve(
        bounds, value=value, error=raised, float_cost=cost.to(dtype) if isinstance(cost, Tensor) else cost
    )


def bounds_of(values: ValueBounds, found: ClosedRows, *, exact: bool = False) -> Bounds:
    """The result of a certifier: the bounds with their error, and the claim that they prove."""
    if found.error is None:
        return Bounds(found.value, exact=exact)
    error, run = found.owed, found.execution
    lost = torch.zeros_like(error) if run is None else _INNER * run
    if values.noise is not None:
        # such bounds may consist of rounding errors alone
        doubtful = (values.noise > _NOISY)[:, None] & (detached(found.safe) <= 0)
        size = detached(found.value).abs()
        error, lost = (torch.where(doubtful, torch.maximum(each, size), each) for each in (error, lost))
    if run is None:
        return Bounds(found.value, exact=exact, error=error)
    return Bounds(found.value, exact=exact, error=error, claim="float", float_cost=lost)
