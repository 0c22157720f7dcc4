"""A certifier: intervals through a chain of Flatten, Linear and ReLU layers."""

import attrs
from torch import Tensor, nn

from inradius import Bounds, Certifier, ExampleRNG, Oracles, Property, UnsupportedError


@attrs.frozen(kw_only=True)
class AcmeName(Certifier):
    """The smallest value of each row over a box around the outputs, which passes the layers one by one.

    It is sound because every layer maps the box before it into the box behind it, and Δ(x) lies in its ``hull``. The bounds
    are of the exact function of the stored weights, up to the rounding of sums, which is far below ``error``.
    """

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        low, high = (x + side for side in threat.hull(x))
        for layer in _chain(model):
            low, high = _through(layer, low, high)
        positive, negative = prop.weights.clamp(min=0), prop.weights.clamp(max=0)
        value = (positive * low[:, None] + negative * high[:, None]).sum(2) + prop.offsets
        return Bounds(value=value, error=1e-9 * (1 + value.abs()))


def _chain(model: nn.Module) -> list[nn.Module]:
    if isinstance(model, nn.Sequential):
        return [part for layer in model for part in _chain(layer)]
    return [model]


def _through(layer: nn.Module, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    if isinstance(layer, nn.Flatten | nn.ReLU):
        return layer(low), layer(high)
    if isinstance(layer, nn.Linear):
        middle, half = layer((low + high) / 2), (high - low) / 2 @ layer.weight.abs().t()
        return middle - half, middle + half
    raise UnsupportedError(
        f"acme_name passes no {type(layer).__name__}; allowed are Flatten, Linear and ReLU in a chain"
    )
