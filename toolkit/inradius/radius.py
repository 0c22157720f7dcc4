"""The radius of each example: the largest that is certified, the smallest that an attack breaks."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from inradius.attack import Attack
from inradius.certifier import Certifier
from inradius.errors import InputError
from inradius.threat import ThreatModel

# radii are looked for between these factors of the set's own
_SMALLEST, _LARGEST = 2.0**-20, 2.0**20


@attrs.frozen(eq=False)
class Radii:
    """Factors of the threat model's radius, example by example.

    certified (B,): the largest found at which a certificate holds, 0 where there is none; attacked (B,): the smallest found
    at which an attack succeeds, inf where there is none, 0 where the input is misclassified. The truth lies between.
    """

    certified: Tensor
    attacked: Tensor


def radii(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: ThreatModel,
    certifier: Certifier,
    attack: Attack | None = None,
    *,
    index: Tensor | None = None,
    tolerance: float = 0.01,
) -> Radii:
    """The certified and the attacked radius of each example of a batch x (B, *S), as factors of the set's own radius.

    Both are found by bisection on each example's own radius, to a relative ``tolerance``; every radius reported was itself
    certified or attacked. Δ(x) must grow with its radius. Raises ``InputError`` for a tolerance that is not between 0 and 1,
    and ``UnsupportedError`` for a set without a radius.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance={tolerance} is not allowed; allowed is a number between 0 and 1")
    where = torch.arange(len(x), device=x.device) if index is None else index

    def proved(rows: Tensor, factors: Tensor) -> Tensor:
        return certifier(model, x[rows], y[rows], threat.per_example(factors), index=where[rows]).certified

    def withstood(rows: Tensor, factors: Tensor) -> Tensor:
        assert attack is not None
        return ~attack(model, x[rows], y[rows], threat.per_example(factors), index=where[rows]).success

    with torch.no_grad():
        wrong = model(x).argmax(1) != y
        inner, _ = _search(proved, x, ~wrong, tolerance)
        outer = torch.full_like(inner, torch.inf)
        if attack is not None:
            _, outer = _search(withstood, x, ~wrong, tolerance)
    return Radii(inner, torch.where(wrong, torch.zeros_like(outer), outer))


def _search(
    holds: Callable[[Tensor, Tensor], Tensor], x: Tensor, open_: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """For each open example the largest factor seen at which ``holds`` is true, and the smallest at which it is not."""
    low = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    high = torch.full_like(low, torch.inf)
    rows = open_.nonzero().squeeze(1)
    while len(rows):
        factors = _next(low[rows], high[rows])
        good = holds(rows, factors)
        low[rows] = torch.where(good, factors, low[rows])
        high[rows] = torch.where(good, high[rows], factors)
        done = (high[rows] - low[rows] <= tolerance * low[rows]) | (low[rows] >= _LARGEST) | (high[rows] <= _SMALLEST)
        rows = rows[~done]
    return low, high


def _next(low: Tensor, high: Tensor) -> Tensor:
    """Where to look next: twice or half as far while one side is unknown, then at the geometric mean."""
    first = torch.ones_like(low)
    grown = torch.where(low > 0, 2 * low, first)
    shrunk = high / 2
    between = (low * high).sqrt()
    return torch.where(high.isinf(), grown, torch.where(low > 0, between, shrunk))
