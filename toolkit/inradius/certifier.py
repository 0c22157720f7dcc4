"""Certifiers: they prove that no perturbation in Δ(x) changes the prediction."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, Self, final, get_args

import attrs
import torch
from torch import Tensor, nn

from inradius._component import Component
from inradius.errors import InputError, PluginError
from inradius.modes import evaluating, full_precision
from inradius.streams import Streams
from inradius.subject import check_labels, check_logits
from inradius.threat import Oracles

Parts = Literal["each", "hull"]


@attrs.frozen(eq=False)
class Property:
    """What is to be proved: weights · f(x + δ) + offsets > 0 in every row. weights (B, K, O), offsets (B, K)."""

    weights: Tensor
    offsets: Tensor

    @classmethod
    def margins(cls, y: Tensor, classes: int, *, dtype: torch.dtype | None = None) -> Self:
        """logit[y] − logit[j] > 0 for every j ≠ y in ascending order, K = classes − 1."""
        unit = torch.eye(classes, dtype=dtype, device=y.device)
        others = torch.arange(classes, device=y.device).expand(len(y), -1)
        others = others[others != y[:, None]].view(len(y), classes - 1)
        return cls(unit[y][:, None] - unit[others], torch.zeros(others.shape, dtype=unit.dtype, device=y.device))

    def select(self, index: Tensor) -> Self:
        """The properties of a part of the batch."""
        return type(self)(self.weights[index], self.offsets[index])

    def to(self, dtype: torch.dtype) -> Self:
        """The same property in another precision."""
        return type(self)(self.weights.to(dtype), self.offsets.to(dtype))


@attrs.frozen(eq=False)
class Bounds:
    """Lower bounds of a property's rows over Δ(x).

    value (B, K); failure_probability: the chance that a bound is wrong, 0 for a proof; exact: whether the bounds are the
    true minima; witness (B, *S) or None: a perturbation at which an exact bound is attained; error (B, K): what rounding
    may have added to ``value``, or a function that finds it where it is wanted, or None: the certifier cannot tell.
    """

    value: Tensor
    failure_probability: float = 0.0
    exact: bool = False
    witness: Tensor | None = None
    error: Tensor | Callable[[], Tensor] | None = None


@attrs.frozen(eq=False)
class Certificate:
    """What was proved, example by example.

    lower (B, K): lower bounds of the property's rows, for margins the classes ≠ y ascending; certified (B,): every row's
    bound is above its rounding error; method: the certifier's spec; failure_probability: 0 for a proof; precision (B,):
    the bits of the floating-point type that each example's bounds were computed in; error (B, K): the rounding error
    allowed for; parts: "each" (a union's members one by one) or "hull".
    """

    lower: Tensor
    certified: Tensor
    method: str
    failure_probability: float
    precision: Tensor
    error: Tensor
    parts: str


@attrs.frozen(kw_only=True)
class Certifier(Component, ABC):
    """Proves lower bounds of a network's margins over Δ(x), from the set's support function alone.

    Law: no perturbation of the set has a value below the bound, less the stated rounding error.
    """

    def subject(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """The function that is certified and must be attacked; the model itself unless the certifier changes it."""
        return model

    @abstractmethod
    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        """Lower bounds of the property over Δ(x), for a batch x (B, *S) and a model in eval mode."""

    @final
    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        *,
        index: Tensor | None = None,
        parts: Parts = "each",
        prop: Property | None = None,
    ) -> Certificate:
        """Certifies a batch x (B, *S) with labels y (B,), in eval mode, without TF32.

        A union is certified member by member (``parts="each"``) or in one pass as its convex hull (``"hull"``).
        Examples whose bound is within its rounding error of zero are bounded again in float64; where a gradient is asked
        for, ``lower`` itself stays as it was. Raises ``InputError`` for inputs that are not what they must be and
        ``UnsupportedError`` for a layer or a set that has no sound bound.
        """
        where = _checked(x, y, threat, index, parts)
        with evaluating(model), full_precision():
            prop = prop or self._margins(model, x, y)
            proofs = [self._prove(model, x, member, prop, where) for member in _members(threat, parts)]
        lower = torch.stack([proof.lower for proof in proofs]).amin(0)
        error = torch.stack([proof.error for proof in proofs]).amax(0)
        bits = torch.stack([proof.bits for proof in proofs]).amin(0)
        certified = torch.stack([proof.certified for proof in proofs]).all(0)
        failure = min(1.0, sum(proof.failure_probability for proof in proofs))
        return Certificate(lower, certified, str(self), failure, bits, error, parts)

    @final
    def bound(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        *,
        index: Tensor | None = None,
        parts: Parts = "each",
        prop: Property | None = None,
    ) -> Tensor:
        """The lower bounds alone, (B, K), to train on: differentiable, and no proof, as rounding is not looked at."""
        where = _checked(x, y, threat, index, parts)
        with evaluating(model), full_precision():
            prop = prop or self._margins(model, x, y)
            bounds = [self._bound(model, x, part, prop, where).value for part in _members(threat, parts)]
        return torch.stack(bounds).amin(0)

    def _margins(self, model: nn.Module, x: Tensor, y: Tensor) -> Property:
        with torch.no_grad():
            logits = self.subject(model)(x)
        check_logits(logits, len(x))
        if len(y) and int(y.max()) >= logits.shape[1]:
            raise InputError(
                f"label {int(y.max())} is out of range; the model has the classes 0 to {logits.shape[1] - 1}"
            )
        return Property.margins(y, logits.shape[1], dtype=logits.dtype)

    def _prove(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, where: Tensor) -> "_Proof":
        """Bounds over one set, with the examples that rounding leaves open bounded again in float64."""
        proof = _Proof.of(self._bound(model, x, threat, prop, where), x.dtype)
        open_rows = proof.open_rows()
        if x.dtype == torch.float64 or not len(open_rows):
            return proof
        exact, part = copy.deepcopy(model).double(), prop.select(open_rows).to(torch.float64)
        with torch.no_grad():
            again = self._bound(exact, x[open_rows].double(), threat.select(open_rows), part, where[open_rows])
        return proof.replace(open_rows, _Proof.of(again, torch.float64))

    def _bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, where: Tensor) -> Bounds:
        bounds = self.lower_bound(model, x, threat, prop, Streams(0, where))
        if bounds.value.shape != prop.offsets.shape:
            raise PluginError(
                f"{self} returned bounds of shape {tuple(bounds.value.shape)}; it must be {tuple(prop.offsets.shape)}"
            )
        return bounds


@attrs.frozen(eq=False)
class _Proof:
    """Bounds over one set: lower and error (B, K), certified and bits (B,)."""

    lower: Tensor
    error: Tensor
    certified: Tensor
    bits: Tensor
    failure_probability: float

    @classmethod
    def of(cls, bounds: Bounds, dtype: torch.dtype) -> "_Proof":
        """What bounds that were computed in ``dtype`` prove."""
        # a bound that is no number, or that overflowed, proves nothing
        lower = bounds.value.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
        error = bounds.error() if callable(bounds.error) else bounds.error
        error = _assumed_error(lower) if error is None else error.detach()
        bits = torch.full((len(lower),), torch.finfo(dtype).bits, device=lower.device)
        return cls(lower, error, (lower > error).all(1), bits, bounds.failure_probability)

    def open_rows(self) -> Tensor:
        """The examples that are neither certified nor further below zero than rounding could explain."""
        return ((self.lower >= -self.error).all(1) & ~self.certified).nonzero().squeeze(1)

    def replace(self, rows: Tensor, other: "_Proof") -> "_Proof":
        """These bounds with those of some examples taken from ``other``, in its precision."""
        certified = self.certified.index_put((rows,), other.certified)
        failure = max(self.failure_probability, other.failure_probability)
        if self.lower.requires_grad:
            return _Proof(self.lower, self.error, certified, self.bits, failure)
        lower, error = (mine.double().index_put((rows,), its) for mine, its in self._pairs(other))
        return _Proof(lower, error, certified, self.bits.index_put((rows,), other.bits), failure)

    def _pairs(self, other: "_Proof") -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return (self.lower, other.lower), (self.error, other.error)


def _checked(x: Tensor, y: Tensor, threat: Oracles, index: Tensor | None, parts: str) -> Tensor:
    """The examples' numbers, (B,), everything else being what it must be."""
    if parts not in get_args(Parts):
        raise InputError(f"parts={parts!r} is not allowed; allowed are 'each' and 'hull'")
    threat.check_inputs(x)
    check_labels(x, y)
    where = torch.arange(len(x), device=x.device) if index is None else index.to(x.device)
    if where.shape != y.shape:
        raise InputError(f"index has shape {tuple(where.shape)}; allowed is one integer per example, {tuple(y.shape)}")
    return where


def _members(threat: Oracles, parts: str) -> tuple[Oracles, ...]:
    return threat.parts() if parts == "each" else (threat,)


def _assumed_error(lower: Tensor) -> Tensor:
    """√ε of the bound's size, for certifiers that do not track rounding: half of the digits are trusted."""
    trusted: float = torch.finfo(lower.dtype).eps ** 0.5
    return (1 + lower.detach().abs().nan_to_num(posinf=0)) * trusted
