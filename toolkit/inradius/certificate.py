"""Bounds, and what they prove: certificates with their claims."""

from collections.abc import Callable, Sequence
from functools import reduce

import attrs
import torch
from torch import Tensor

from inradius.errors import PluginError
from inradius.property import Property

# real: a proof about the exact function of the stored weights; probabilistic: it may be wrong with the stated chance; solver: the
# word of a solver that computes in floating point; the strongest first
CLAIMS = ("real", "probabilistic", "solver")


@attrs.frozen(eq=False)
class Bounds:
    """Lower bounds of a property's rows over Δ(x).

    value (B, K); failure_probability: the chance that a bound is wrong, 0 for a proof; exact: whether the bounds are the
    true minima; witness (B, *S) or None: a perturbation at which an exact bound is attained; error (B, K): what rounding
    may have added to ``value``, or a function that finds it where it is wanted, or None: the certifier cannot tell;
    claim: the level of the bounds, one of ``CLAIMS`` for all examples or for each; a chance of failure makes "real"
    "probabilistic".
    """

    value: Tensor
    failure_probability: float = 0.0
    exact: bool = False
    witness: Tensor | None = None
    error: Tensor | Callable[[], Tensor] | None = None
    claim: str | tuple[str, ...] = "real"

    @property
    def claims(self) -> tuple[str, ...]:
        """The level of each example's bounds. Raises ``PluginError`` for a claim that is none."""
        if isinstance(self.claim, str):
            doubtful = self.claim == "real" and self.failure_probability > 0
            found: tuple[str, ...] = ("probabilistic" if doubtful else self.claim,) * len(self.value)
        else:
            found = tuple(self.claim)
        if len(found) != len(self.value) or any(claim not in CLAIMS for claim in found):
            raise PluginError(
                f"bounds of {len(self.value)} examples came with claim={self.claim!r}; allowed is one of {', '.join(CLAIMS)}, or "
                "one for each example"
            )
        return found


@attrs.frozen(eq=False)
class Certificate:
    """What was proved, example by example; no part of it carries a gradient.

    lower (B, K): lower bounds of the property's rows, for margins the classes ≠ y ascending; certified (B,): every clause
    has a row whose bound is above its error, of margins every row; method: the certifier's spec; failure_probability: 0 for
    a proof; precision (B,): the bits of the floating-point type that each example's bounds were computed in; error (B, K):
    what rounding, or a solver, may have added to ``lower``; parts: "each" (a union's members one by one) or "hull"; claim:
    for each example the level of its bounds, "real", "probabilistic" or "solver".
    """

    lower: Tensor
    certified: Tensor
    method: str
    failure_probability: float
    precision: Tensor
    error: Tensor
    parts: str
    claim: tuple[str, ...]

    def counted(self, *, accept_solver: bool = False) -> Tensor:
        """Which examples count as certified, (B,): a solver's word is no proof, and counts where it is asked for alone."""
        word = torch.tensor([claim == "solver" for claim in self.claim], dtype=torch.bool, device=self.certified.device)
        return self.certified if accept_solver else self.certified & ~word


def weakest(claims: Sequence[str]) -> str:
    """The weakest of several levels: what rests on all of them is no stronger."""
    return max(claims, key=CLAIMS.index)


@attrs.frozen(eq=False)
class Proven:
    """Bounds in the making: lower and error (B, K), bits (B,), one claim for each example."""

    lower: Tensor
    error: Tensor
    bits: Tensor
    claim: tuple[str, ...]
    failure_probability: float

    @classmethod
    def of(cls, bounds: Bounds, dtype: torch.dtype) -> "Proven":
        """What a certifier returned that computed in ``dtype``."""
        # a bound that is no number, or that overflowed, proves nothing
        lower = bounds.value.detach().nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
        error = bounds.error() if callable(bounds.error) else bounds.error
        error = _assumed_error(lower) if error is None else error.detach().to(lower).nan_to_num(nan=torch.inf)
        bits = torch.full((len(lower),), torch.finfo(dtype).bits, device=lower.device)
        return cls(lower, error, bits, bounds.claims, bounds.failure_probability)

    def certified(self, prop: Property) -> Tensor:
        """The examples that are proved, (B,)."""
        return prop.holds(self.lower > self.error)

    def open_rows(self, prop: Property) -> Tensor:
        """The examples that are neither proved nor further below zero than rounding could explain."""
        return (prop.holds(self.lower >= -self.error) & ~self.certified(prop)).nonzero().squeeze(1)

    def replace(self, rows: Tensor, other: "Proven") -> "Proven":
        """These bounds with those of some examples taken from ``other``, in its precision."""
        lower = self.lower.to(other.lower.dtype).index_put((rows,), other.lower)
        error = self.error.to(other.error.dtype).index_put((rows,), other.error)
        claims = list(self.claim)
        for row, claim in zip(rows.tolist(), other.claim, strict=True):
            claims[row] = claim
        failure = max(self.failure_probability, other.failure_probability)
        return Proven(lower, error, self.bits.index_put((rows,), other.bits), tuple(claims), failure)

    @classmethod
    def over(cls, several: Sequence["Proven"]) -> "Proven":
        """The bounds that hold over all of several sets."""
        if len(several) == 1:
            return several[0]
        wide = reduce(torch.promote_types, (found.lower.dtype for found in several))
        lower = torch.stack([found.lower.to(wide) for found in several])
        error = torch.stack([found.error.to(wide) for found in several])
        least = lower.amin(0)
        return cls(
            least,
            _left(lower, error, least).amax(0),
            torch.stack([found.bits for found in several]).amin(0),
            tuple(weakest(levels) for levels in zip(*(found.claim for found in several), strict=True)),
            min(1.0, sum(found.failure_probability for found in several)),
        )


def _left(lower: Tensor, error: Tensor, least: Tensor) -> Tensor:
    """The errors of bounds that are counted from a lower value on: what lies between is no error, (members, B, K)."""
    room = torch.where(least.isfinite(), lower - least, 0.0)
    # rounded up, so that in the end a row is above its error only where it is in each member
    slack = 4 * torch.finfo(error.dtype).eps * (error + room)
    return torch.where(room > 0, (error - room + slack).clamp(min=0), error)


def _assumed_error(lower: Tensor) -> Tensor:
    """√ε of the bound's size, for certifiers that do not track rounding: half of the digits are trusted."""
    trusted: float = torch.finfo(lower.dtype).eps ** 0.5
    return (1 + lower.abs().nan_to_num(posinf=0)) * trusted
