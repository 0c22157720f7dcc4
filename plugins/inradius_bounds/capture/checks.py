"""What must hold before a recorded computation stands for its model: the model's values, and steps that are affine."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import UnsupportedError
from inradius_bounds.block import AffineBlock
from inradius_bounds.stage import Chain

# a model may round each of its operators in another way than the steps that stand for it, some of which are more than one
_ROOM = 8


@torch.no_grad()
def check_affine(chain: Chain, generator: torch.Generator) -> None:
    """Raises ``UnsupportedError`` where a block of a chain in float64 is not affine, or its adjoint is another's.

    At random points f(a) + f(b) = f(a + b) + f(0) and ⟨r, f(a) − f(0)⟩ = ⟨Aᵀ r, a⟩, within rounding.
    """
    for stage in chain.stages:
        block = stage.block
        a, b = (_normal((1, *block.in_shape), generator, chain) for _ in range(2))
        r = _normal((1, 1, *block.out_shape), generator, chain)
        zero, image = block(torch.zeros_like(a)), block(a)
        size = _magnitude(block, a.abs() + b.abs())
        unit = _gamma(block, torch.float64)
        sums = (image + block(b) - block(a + b) - zero).abs() <= _ROOM * unit * size
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


def _normal(shape: tuple[int, ...], generator: torch.Generator, chain: Chain) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(chain.device)


def agrees(value: Tensor, error: Tensor, outputs: Tensor) -> bool:
    """Whether a model has a chain's values up to their pointwise rounding error, three of (N, *out)."""
    close = (value - outputs.double().view_as(value)).abs() <= _ROOM * error
    # where the bound is no number the steps overflow, and no bound over a set can be finite there
    return bool((close | ~error.isfinite()).all())


@torch.no_grad()
def pointwise(chain: Chain, points: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A chain's values at points (N, *S) in float64, and a bound on the rounding error of a run in ``dtype``, two of (N, *out).

    A block turns an error E into |A| E + γ (|A| |z| + |b|), a curve into what its interval around z ± E allows.
    """
    value, error = points, torch.zeros_like(points)
    unit, tiny = torch.finfo(dtype).eps / 2, torch.finfo(dtype).smallest_normal
    for stage in chain.stages:
        gamma = _gamma(stage.block, dtype)
        size = _magnitude(stage.block, value.abs() + error / gamma + tiny / gamma)
        value, error = stage.block(value), gamma * size + tiny
        if stage.activation is not None:
            op = stage.activation
            found = op(value)
            low, high = op.rule.interval(op, value - error, value + error)
            spread = torch.maximum(high - found, found - low)
            value, error = found, spread + 16 * unit * (found.abs() + value.abs().clamp(max=1)) + tiny
    return value, error


def _gamma(block: AffineBlock, dtype: torch.dtype) -> float:
    terms = sum(op.rule.terms(op) + op.rule.fan(op) for op in block.ops) + 8 * (1 + len(block.ops))
    share = terms * float(torch.finfo(dtype).eps) / 2
    # sums of so many terms in half precision have no error bound of this kind; theirs is as large as the terms
    return share / (1 - share) if share < 0.5 else 1.0 + share


def _magnitude(block: AffineBlock, size: Tensor) -> Tensor:
    for op in block.ops:
        size = op.rule.magnitude(op, size)
    return size


def points_around(x: Tensor, members: Sequence[Tensor], generator: torch.Generator, count: int) -> Tensor:
    """An input (1, *S), members of its set, and points around it, (count, *S)."""
    noise = torch.randn((count, *x.shape[1:]), generator=generator, dtype=torch.float64).to(x.device)
    size = x.double().abs().mean() + 0.1
    scales = torch.logspace(-3, 0, count, dtype=torch.float64, device=x.device).view(-1, *(1,) * (x.ndim - 1))
    drawn = x.double() + noise * size * scales
    return torch.cat([x, *(x + member for member in members), drawn.to(x)])[:count]
