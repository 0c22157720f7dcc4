"""⟨c, δ⟩ with a bound on its error."""

import torch
from torch import Tensor

from inradius.sets.arithmetic.bits import stored
from inradius.sets.arithmetic.outward import smallest
from inradius.sets.arithmetic.sums import added
from inradius.sets.arithmetic.underflow import recovered


def dual_pairing(c: Tensor, delta: Tensor) -> Tensor:
    """An upper bound on ⟨c, δ*⟩ for every δ* within 2 units in the last place of δ, two of (B, K, *S) -> (B, K).

    0 where every product is. The gradient in ``c`` is δ.
    """
    c, delta = c.flatten(2), delta.flatten(2)
    value, error = added(c * delta, roundings=5)
    # a subnormal number may be taken for 0, whatever it is multiplied with
    size = c.detach().abs().amax(-1) + delta.detach().abs().amax(-1)
    error = error + size * (2 * c.shape[-1] * smallest(error.dtype))
    error = recovered(value.detach(), error, lambda at: (stored(c[at]) & stored(delta[at])).any(-1))
    return (value + error).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.finfo(value.dtype).min)


def summation_error(terms: Tensor) -> Tensor:
    """A bound on the error of multiplying and adding up ``terms`` over the last axis by ``total``, (..., n) -> (...)."""
    return added(terms)[1]
