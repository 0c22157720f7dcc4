"""Parts of laws: a demand on every example, and comparisons within rounding errors."""

import torch
from torch import Tensor


def require(ok: Tensor, claim: str, **values: Tensor) -> None:
    """Raises ``AssertionError`` with the claim and the values of the first example at which ``ok`` (B, ...) is false."""
    good = ok.reshape(len(ok), -1).all(1)
    if bool(good.all()):
        return
    row = int((~good).nonzero()[0])
    seen = "; ".join(f"{name} = {value[row].tolist()}" for name, value in values.items())
    raise AssertionError(
        f"{claim}, but not for example {row}: {seen}" if seen else f"{claim}, but not for example {row}"
    )


def pairing(c: Tensor, delta: Tensor) -> Tensor:
    """⟨c, δ⟩ in double precision, (B, *S) -> (B,)."""
    return (c.double() * delta.double()).flatten(1).sum(1)


def weight(c: Tensor, delta: Tensor) -> Tensor:
    """Σ|c·δ|, the size of a pairing's terms, (B, *S) -> (B,)."""
    return pairing(c.abs(), delta.abs())


def norm(delta: Tensor) -> Tensor:
    """The Euclidean length in double precision, (B, *S) -> (B,)."""
    length: Tensor = torch.linalg.vector_norm(delta.double().flatten(1), dim=1)
    return length


def rounding(like: Tensor) -> float:
    """A generous bound on the relative rounding error of a sum over one example in ``like``'s precision."""
    return 4 * (like[0].numel() + 2) * torch.finfo(like.dtype).eps


def close(a: Tensor, b: Tensor, slack: Tensor | float) -> Tensor:
    """True where |a − b| ≤ slack. Equal infinities are close, and NaN is close to nothing."""
    return (a == b) | ((a - b).abs() <= slack)
