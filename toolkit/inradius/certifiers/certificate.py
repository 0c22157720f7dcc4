"""Bounds of a property, and certificates made of them, each with the claim that it proves."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError, PluginError
from inradius.outcomes.property import weakest_clause

# The strongest claim is first, and each implies the next. float: a proof about every floating-point execution of the model that
# docs/TRUST.md covers. real: a proof about the exact function of the stored weights. probabilistic: a statement that may be
# wrong with the stated chance. solver: the answer of a solver that computes in floating point.
CLAIMS = ("float", "real", "probabilistic", "solver")
# the levels that a caller may ask for
Claim = Literal["float", "real"]
# the level where the caller gives none: in Python, on the command line and in brackets
DEFAULT_CLAIM: Claim = "float"
# the subject of a proof at each level
MEANING = {"float": "every floating-point execution", "real": "exact arithmetic on the stored weights"}
# the request for level "real", in Python and on the command line
IN_PYTHON = "claim='real' (--claim real)"


def check_claim(claim: object) -> None:
    """Raises ``InputError`` unless ``claim`` is a level that a caller may ask for."""
    if claim not in get_args(Claim):
        raise InputError(f"claim={claim!r} is not allowed; allowed are 'float' and 'real'")


def counts(level: str, claim: str, *, accept_solver: bool = False) -> bool:
    """True if a certificate at ``level`` counts where ``claim`` is asked for.

    A proof counts at its own level and at every weaker one. A probabilistic certificate always counts, with its stated
    probability. A solver's answer counts with ``accept_solver`` alone.
    """
    if level == "solver":
        return accept_solver
    return level == "probabilistic" or CLAIMS.index(level) <= CLAIMS.index(claim)


def weaker(count: int, option: str) -> str:
    """A sentence on ``count`` examples that are proved at level "real" where "float" was asked for; ``option`` counts them."""
    some, them = ("example is", "it") if count == 1 else ("examples are", "them")
    return f"{count} more {some} certified at level real ({MEANING['real']}); {option} counts {them}"


def weakest(claims: Sequence[str]) -> str:
    """The weakest of several levels. A statement that rests on all of them is no stronger."""
    return max(claims, key=CLAIMS.index)


@attrs.frozen(eq=False)
class Bounds:
    """Lower bounds of a property's rows over Δ(x).

    value (B, K): the bounds. failure_probability: the chance that a bound is wrong, 0 for a proof. exact: true if the bounds
    are the true minima. witness (B, *S) or None: a perturbation at which the property was found to be violated, or an exact
    bound to be attained, NaN for the examples that have none. error (B, K): the most that rounding may have added to
    ``value``; or a function that computes it on demand; or None where the certifier does not track rounding. claim: the level
    of the bounds, one of ``CLAIMS`` for all examples or one for each; a chance of failure turns "float" and "real" into
    "probabilistic". float_cost (B, K): a bound on the amount by which ``value`` is lower because it holds at level "float" and
    not at "real" alone, inf where it is unknown; or a function that computes it on demand; or None where the amount is 0.
    proved (B,) or None: true for examples whose property is proved although some clause has no row with a bound above its error,
    because every perturbation makes another row of the clause positive.
    """

    value: Tensor
    failure_probability: float = 0.0
    exact: bool = False
    witness: Tensor | None = None
    error: Tensor | Callable[[], Tensor] | None = None
    claim: str | tuple[str, ...] = "real"
    float_cost: Tensor | Callable[[], Tensor] | None = None
    proved: Tensor | None = None

    @property
    def claims(self) -> tuple[str, ...]:
        """The level of each example's bounds, B of them. Raises ``PluginError`` for a claim that is not in ``CLAIMS``."""
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
    """The result of a certifier, example by example. No part of it carries a gradient.

    lower (B, K): lower bounds of the property's rows; for margins the rows are the classes ≠ y in ascending order. certified
    (B,): true where every clause has a row whose bound is above its error (for margins, every row), or is proved by several of
    its rows together. method: the certifier's
    spec. failure_probability: 0 for a proof. precision (B,): the bits of the floating-point type in which each example was
    bounded. error (B, K): the most that rounding, or a solver, may have added to ``lower``. union: "each" for a union that was
    certified member by member, "hull" for one pass over its convex hull. claim: for each example the strongest level at which
    it was proved: "float", "real", "probabilistic" or "solver". asked: the level that was asked for. witness (B, *S): for each
    example that is not certified the perturbation at which the certifier found the property violated, NaN where it found none;
    None where it found none at all. It is no answer of the referee: rounding may decide it. clauses (M, K): which rows are in
    which clause of the property; None where each is one of its own.
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
    witness: Tensor | None = None
    clauses: Tensor | None = None

    @property
    def bound(self) -> Tensor:
        """The lower bound of the property's weakest clause, (B,), in float64, before the error is taken off."""
        return weakest_clause(self.lower.double(), self.clauses)

    @property
    def guaranteed(self) -> Tensor:
        """The guaranteed lower bound of the property's weakest clause, (B,): with the error taken off."""
        return weakest_clause(self.lower.double() - self.error.double(), self.clauses)

    def counted(self, *, accept_solver: bool = False, claim: Claim | None = None) -> Tensor:
        """A mask of the examples that count as certified at level ``claim``, (B,). The default is the level that was asked for.

        A solver's answer is no proof, and counts with ``accept_solver`` alone.
        """
        asked = self.asked if claim is None else claim
        check_claim(asked)
        return self._where([counts(level, asked, accept_solver=accept_solver) for level in self.claim])

    @property
    def weaker(self) -> Tensor:
        """A mask of the examples that have a proof at level "real" alone where "float" was asked for, (B,)."""
        return self._where([level == "real" and not counts(level, self.asked) for level in self.claim])

    def _where(self, levels: Sequence[bool]) -> Tensor:
        """A mask of the certified examples among those where ``levels`` is true, (B,)."""
        return self.certified & torch.tensor(levels, dtype=torch.bool, device=self.certified.device)
