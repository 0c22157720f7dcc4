"""Bounds, and what they prove: certificates with their claims."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError, PluginError

# float: a proof about every floating-point execution of the model that docs/TRUST.md covers; real: a proof about the exact
# function of the stored weights; probabilistic: it may be wrong with the stated chance; solver: the word of a solver that
# computes in floating point; the strongest first, and each proof implies the weaker one
CLAIMS = ("float", "real", "probabilistic", "solver")
# the levels that can be asked for
Claim = Literal["float", "real"]
# the level that is asked for where none is given: in Python, on the command line, in brackets
DEFAULT_CLAIM: Claim = "float"
# what a proof at such a level speaks of
MEANING = {"float": "every floating-point execution", "real": "exact arithmetic on the stored weights"}
# how level "real" is asked for, where a reader may be in Python or at the command line
IN_PYTHON = "claim='real' (--claim real)"


def check_claim(claim: object) -> None:
    """Raises ``InputError`` for what is no level that can be asked for."""
    if claim not in get_args(Claim):
        raise InputError(f"claim={claim!r} is not allowed; allowed are 'float' and 'real'")


def counts(level: str, claim: str, *, accept_solver: bool = False) -> bool:
    """Whether a certificate at ``level`` counts where ``claim`` is asked for.

    A proof counts where it is at that level or a stronger one, what rests on chance counts with its stated probability, and
    a solver's word where it is accepted.
    """
    if level == "solver":
        return accept_solver
    return level == "probabilistic" or CLAIMS.index(level) <= CLAIMS.index(claim)


def weaker(count: int, option: str) -> str:
    """A sentence on examples that have a proof at level "real" alone where "float" was asked for; ``option`` counts them."""
    some, them = ("example is", "it") if count == 1 else ("examples are", "them")
    return f"{count} more {some} certified at level real ({MEANING['real']}); {option} counts {them}"


def weakest(claims: Sequence[str]) -> str:
    """The weakest of several levels: what rests on all of them is no stronger."""
    return max(claims, key=CLAIMS.index)


@attrs.frozen(eq=False)
class Bounds:
    """Lower bounds of a property's rows over Δ(x).

    value (B, K); failure_probability: the chance that a bound is wrong, 0 for a proof; exact: whether the bounds are the
    true minima; witness (B, *S) or None: a perturbation at which an exact bound is attained; error (B, K): what rounding
    may have added to ``value``, or a function that finds it where it is wanted, or None: the certifier cannot tell;
    claim: the level of the bounds, one of ``CLAIMS`` for all examples or for each; a chance of failure makes "float" and
    "real" "probabilistic"; float_cost (B, K): at most how much lower ``value`` is because it holds at level "float" and not
    at "real" alone, inf where that is unknown, or a function that finds it, or None: nothing was paid for that.
    """

    value: Tensor
    failure_probability: float = 0.0
    exact: bool = False
    witness: Tensor | None = None
    error: Tensor | Callable[[], Tensor] | None = None
    claim: str | tuple[str, ...] = "real"
    float_cost: Tensor | Callable[[], Tensor] | None = None

    @property
    def claims(self) -> tuple[str, ...]:
        """The level of each example's bounds. Raises ``PluginError`` for a claim that is none."""
        if isinstance(self.claim, str):
            doubtful = self.claim in get_args(Claim) and self.failure_probability > 0
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
    what rounding, or a solver, may have added to ``lower``; union: "each" (a union's members one by one) or "hull"; claim:
    for each example the level of its bounds, the strongest at which it was proved: "float", "real", "probabilistic" or
    "solver"; asked: the level that was asked for.
    """

    lower: Tensor
    certified: Tensor
    method: str
    failure_probability: float
    precision: Tensor
    error: Tensor
    union: str
    claim: tuple[str, ...]
    asked: Claim

    def counted(self, *, accept_solver: bool = False, claim: Claim | None = None) -> Tensor:
        """Which examples count as certified at level ``claim``, by default the one that was asked for, (B,).

        A solver's word is no proof, and counts with ``accept_solver`` alone.
        """
        asked = self.asked if claim is None else claim
        check_claim(asked)
        return self._where([counts(level, asked, accept_solver=accept_solver) for level in self.claim])

    @property
    def weaker(self) -> Tensor:
        """Which examples have a proof at level "real" alone where "float" was asked for, (B,)."""
        return self._where([level == "real" and not counts(level, self.asked) for level in self.claim])

    def _where(self, levels: Sequence[bool]) -> Tensor:
        """Which of some examples are certified, (B,)."""
        return self.certified & torch.tensor(levels, dtype=torch.bool, device=self.certified.device)
