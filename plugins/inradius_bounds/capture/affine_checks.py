"""Rounding errors at points, and checks that affine blocks are affine."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import Operator, UnsupportedError
from inradius_bounds.layout.layer_chain import LayerChain

# a model may round an operator in another way than the steps that stand for it, which may be several
_ROOM = 8


@torch.no_grad()
def check_affine(chain: LayerChain, generator: torch.Generator) -> None:
    """Raises ``UnsupportedError`` where a block of a chain in float64 is not affine, or its adjoint does not belong to it.

    The check is at random points: f(a) + f(b) = f(a + b) + f(0) and ⟨r, f(a) − f(0)⟩ = ⟨Aᵀ r, a⟩, within rounding.
    """
    for layer in chain.layers:
        block = layer.block
        a, b = (_normal((1, *block.in_shape), generator, chain) for _ in range(2))
        r = _normal((1, 1, *block.out_shape), generator, chain)
        zero, image, other, both = torch.split(block(torch.cat([torch.zeros_like(a), a, b, a + b])), 1)
        size = a.abs() + b.abs()
        for op in block.ops:
            size = op.rule.magnitude(op, size)
        unit = sum(_gamma(op, torch.float64) + op.rule.fan(op) * 1.2e-16 for op in block.ops)
        sums = (image + other - both - zero).abs() <= _ROOM * unit * size
        forth = (r * (image - zero)[:, None]).sum()
        back = (block.adjoint(r) * a[:, None]).sum()
        slack = _ROOM * (unit + r.numel() * 1.2e-16) * ((r.abs() * size[:, None]).sum() + zero.abs().sum())
        good = bool(sums.all()) and bool((forth - back).abs() <= slack)
        if not good and bool(size.isfinite().all()):
            names = ", ".join(op.path for op in block.ops)
            raise UnsupportedError(
                f"the layer rules of {names} are not those of an affine operator and its adjoint; a rule with affine = True must "
                "have ⟨r, f(a) − f(0)⟩ = ⟨adjoint(r), a⟩"
            )


def _normal(shape: tuple[int, ...], generator: torch.Generator, chain: LayerChain) -> Tensor:
    # float32 numbers are drawn faster
    return torch.randn(shape, generator=generator).to(chain.device, torch.float64)


@torch.no_grad()
def pointwise(chain: LayerChain, points: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A chain's values at points (N, *S) in float64, and a bound on the rounding error of a run in ``dtype``, two of (N, *out).

    A block turns an error E into |A| E + γ (|A| |z| + |b|). A curve turns it into the width of its interval around z ± E.
    """
    value, error = points, torch.zeros_like(points)
    for layer in chain.layers:
        for op in layer.block.ops:
            value, error = through_affine(op, value, error, dtype)
        if layer.activation is not None:
            value, error = through_curve(layer.activation, value, error, dtype)
    return value, error


def through_affine(op: Operator, value: Tensor, error: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """An affine operator's value in float64, and the rounding error that a run in ``dtype`` may have behind it."""
    tiny, gamma = torch.finfo(dtype).smallest_normal, _gamma(op, dtype)
    size = op.rule.magnitude(op, value.abs() + (error + tiny) / gamma)
    return op(value), gamma * size + tiny


def through_curve(op: Operator, value: Tensor, error: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A non-linear layer's value in float64, and the rounding error that a run in ``dtype`` may have behind it."""
    info = torch.finfo(dtype)
    found = op(value)
    low, high = op.rule.interval(op, value - error, value + error)
    spread = torch.maximum(high - found, found - low)
    return found, spread + 8 * info.eps * (found.abs() + value.abs().clamp(max=1)) + info.smallest_normal


def _gamma(op: Operator, dtype: torch.dtype) -> float:
    terms = op.rule.terms(op) + 16
    share = terms * float(torch.finfo(dtype).eps) / 2
    # sums of very many terms in half precision have no error bound of this kind; their error is as large as the terms
    return share / (1 - share) if share < 0.5 else 1.0 + share


def points_around(x: Tensor, members: Sequence[Tensor], generator: torch.Generator, count: int) -> Tensor:
    """Points (count, *S): an input (1, *S), a member of its set, a far point, further members, and points around the input."""
    noise = torch.randn((count, *x.shape[1:]), generator=generator, dtype=torch.float64).to(x.device)
    size = x.double().abs().mean() + 0.1
    scales = torch.logspace(-3, 0, count, dtype=torch.float64, device=x.device).view(-1, *(1,) * (x.ndim - 1))
    drawn = x.double() + noise * size * scales
    inside = [x + member for member in members]
    return torch.cat([x, *inside[:1], drawn[-1:].to(x), *inside[1:], drawn.to(x)])[:count]
