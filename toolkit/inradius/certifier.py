"""Certifiers: they prove that no perturbation in Δ(x) changes the prediction."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, Self, final

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
    true minima; witness (B, *S) or None: a perturbation at which an exact bound is attained; error (B, K) or None: what
    rounding may have added to ``value`` (None: the certifier cannot tell).
    """

    value: Tensor
    failure_probability: float = 0.0
    exact: bool = False
    witness: Tensor | None = None
    error: Tensor | None = None


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
        Where no gradient is asked for, examples whose bound is within its rounding error of zero are bounded again in
        float64. Raises ``InputError`` for inputs that are not what they must be and ``UnsupportedError`` for a layer or
        a set that has no sound bound.
        """
        if parts not in ("each", "hull"):
            raise InputError(f"parts={parts!r} is not allowed; allowed are 'each' and 'hull'")
        threat.check_inputs(x)
        check_labels(x, y)
        where = torch.arange(len(x), device=x.device) if index is None else index.to(x.device)
        if where.shape != y.shape:
            raise InputError(
                f"index has shape {tuple(where.shape)}; allowed is one integer per example, {tuple(y.shape)}"
            )
        with evaluating(model), full_precision():
            prop = prop or self._margins(model, x, y)
            members = threat.parts() if parts == "each" else (threat,)
            proofs = [self._prove(model, x, member, prop, where) for member in members]
        lower = torch.stack([proof.lower for proof in proofs]).amin(0)
        error = torch.stack([proof.error for proof in proofs]).amax(0)
        bits = torch.stack([proof.bits for proof in proofs]).amin(0)
        certified = torch.stack([(proof.lower > proof.error).all(1) for proof in proofs]).all(0)
        failure = min(1.0, sum(proof.failure_probability for proof in proofs))
        return Certificate(lower, certified, str(self), failure, bits, error, parts)

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
        proof = self._bound(model, x, threat, prop, where)
        if x.dtype == torch.float64 or proof.lower.requires_grad:
            return proof
        unclear = ((proof.lower <= proof.error) & (proof.lower >= -proof.error)).any(1)
        open_rows = (unclear & (proof.lower >= -proof.error).all(1)).nonzero().squeeze(1)
        if not len(open_rows):
            return proof
        exact = copy.deepcopy(model).double()
        part = prop.select(open_rows).to(torch.float64)
        again = self._bound(exact, x[open_rows].double(), threat.select(open_rows), part, where[open_rows])
        return proof.replace(open_rows, again)

    def _bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, where: Tensor) -> "_Proof":
        bounds = self.lower_bound(model, x, threat, prop, Streams(0, where))
        if bounds.value.shape != prop.offsets.shape:
            raise PluginError(
                f"{self} returned bounds of shape {tuple(bounds.value.shape)}; it must be {tuple(prop.offsets.shape)}"
            )
        # a bound that is not a number proves nothing
        lower = bounds.value.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        error = bounds.error if bounds.error is not None else _assumed_error(lower)
        bits = torch.full((len(x),), torch.finfo(x.dtype).bits, device=x.device)
        return _Proof(lower, error.detach(), bits, bounds.failure_probability)


@attrs.frozen(eq=False)
class _Proof:
    """Bounds over one set: lower and error (B, K), bits (B,)."""

    lower: Tensor
    error: Tensor
    bits: Tensor
    failure_probability: float

    def replace(self, rows: Tensor, other: "_Proof") -> "_Proof":
        """These bounds with those of some examples taken from ``other``, in its precision."""
        lower, error, bits = self.lower.double(), self.error.double(), self.bits.clone()
        lower[rows], error[rows], bits[rows] = other.lower, other.error, other.bits
        return _Proof(lower, error, bits, max(self.failure_probability, other.failure_probability))


def _assumed_error(lower: Tensor) -> Tensor:
    """√ε of the bound's size, for certifiers that do not track rounding: half of the digits are trusted."""
    trusted: float = torch.finfo(lower.dtype).eps ** 0.5
    return (1 + lower.detach().abs().nan_to_num(posinf=0)) * trusted
