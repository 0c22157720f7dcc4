"""Directions that shifts of inputs are combined from: named ones, and rows of an array in a file."""

from functools import lru_cache

import torch
from torch import Tensor

from inradius import InputError
from inradius.sets.numbers import load

NAMES = ("brightness", "colour", "ramps")

# rows count as orthogonal up to this cosine
_COSINE = 1e-9


@lru_cache(maxsize=16)
def directions(basis: str, shape: tuple[int, ...]) -> Tensor:
    """The directions as rows in float64, orthogonal to each other, (r, n) for inputs of n numbers.

    Raises ``InputError`` where they do not fit inputs of this shape.
    """
    if basis == "brightness":
        return torch.ones(1, *shape, dtype=torch.float64).flatten(1)
    if basis == "colour":
        return torch.eye(shape[0], dtype=torch.float64).repeat_interleave(torch.Size(shape[1:]).numel(), 1)
    if basis == "ramps":
        return _ramps(basis, shape)
    rows = load(basis)
    if tuple(rows.shape[1:]) != shape:
        raise InputError(
            f"{basis.partition('#')[0]} has shape {tuple(rows.shape)}; needed is (r, *S) for inputs of shape S = {shape}"
        )
    return rows.flatten(1)


def _ramps(basis: str, shape: tuple[int, ...]) -> Tensor:
    if len(shape) < 2 or min(shape[-2:]) < 2:
        raise InputError(f"inputs of shape {shape} are no images for basis={basis!r}; allowed is (..., height, width)")
    down, across = (torch.linspace(-1, 1, size, dtype=torch.float64) for size in shape[-2:])
    return torch.stack([down[:, None].expand(shape), across.expand(shape)]).flatten(1)


def check_orthogonal(basis: str) -> None:
    """Raises ``InputError`` where the rows of a file are not orthogonal to each other, or one of them is 0."""
    rows = load(basis)
    if rows.ndim < 2 or not rows.numel():
        raise InputError(f"{basis.partition('#')[0]} has shape {tuple(rows.shape)}; needed is (r, *S)")
    flat = rows.flatten(1)
    lengths = flat.norm(dim=1)
    unit = flat / lengths.clamp(min=torch.finfo(flat.dtype).tiny).unsqueeze(1)
    cosines = (unit @ unit.T).fill_diagonal_(0).abs()
    if bool((lengths == 0).any()) or float(cosines.max()) > _COSINE:
        raise InputError(
            f"{basis.partition('#')[0]} has rows that are 0 or not orthogonal to each other; needed is an orthogonal basis, "
            "such as numpy.linalg.qr makes"
        )


def disjoint(rows: Tensor) -> bool:
    """True where each number of an input is moved by one direction at most."""
    return bool(((rows != 0).sum(0) <= 1).all())
