"""Products of rows with vectors, added up in two levels, so that few roundings accumulate."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# the count of partial sums of a sum, each over a run of the numbers
_PARTS = 16
# longer vectors are split into chunks of this length, each with a sum of its own
_CHUNK = 2048
_SHORT = 64
# rows with so few numbers in all are faster to multiply number by number than as a matrix
_FEW = 1 << 20


def dot(rows: Tensor, values: Tensor) -> Tensor:
    """⟨row, values⟩, (B, K, *S) and (B or 1, *S) -> (B, K)."""
    if rows.ndim == 5 and rows.stride(2) == 1:
        # the memory of the rows has channels last
        rows, values = rows.permute(0, 1, 3, 4, 2), values.permute(0, 2, 3, 1)
    flat = rows.flatten(2)
    size, few = flat.shape[2], flat.numel() <= _FEW
    if (size <= _SHORT or (few and size <= _CHUNK)) and not torch.is_grad_enabled():
        products = flat * values.reshape(len(values), 1, size)
        return products.sum(2) if size <= _SHORT else _by_runs(products)
    other = values.flatten(1)
    # training does not bound rounding, so one product is enough
    if torch.is_grad_enabled():
        return (flat @ other[..., None]).squeeze(2)
    if few:
        parts = zip(torch.split(flat, _CHUNK, dim=2), torch.split(other, _CHUNK, dim=1), strict=True)
        return torch.stack([_by_runs(part * vector[:, None]) for part, vector in parts]).sum(0)
    if size <= _CHUNK:
        return (flat @ _spread(other)).sum(2)
    parts = zip(torch.split(flat, _CHUNK, dim=2), torch.split(other, _CHUNK, dim=1), strict=True)
    return torch.stack([(part @ _spread(vector)).sum(2) for part, vector in parts]).sum(0)


def _by_runs(products: Tensor) -> Tensor:
    """The sums of products (B, K, n), first over runs of the numbers, (B, K)."""
    run = math.ceil(products.shape[2] / _PARTS)
    more = run * _PARTS - products.shape[2]
    padded = F.pad(products, (0, more)) if more else products
    return padded.view(*products.shape[:2], _PARTS, run).sum(3).sum(2)


def _spread(values: Tensor) -> Tensor:
    """Columns that each hold one run of the numbers and zeros, (B, n) -> (B, n, parts). Sums with zeros are not rounded."""
    size = values.shape[1]
    run = math.ceil(size / _PARTS)
    padded = F.pad(values, (0, run * _PARTS - size)).view(len(values), _PARTS, run)
    return torch.diag_embed(padded.transpose(1, 2), dim1=1, dim2=3).flatten(1, 2)[:, :size]


def dot_terms(shape: torch.Size) -> int:
    """The most roundings that a number passes in a sum over a value of this shape, here and for windows of it."""
    size = shape.numel()
    runs = math.ceil(min(size, _CHUNK) / _PARTS) + _PARTS + math.ceil(size / _CHUNK)
    windows = sum(shape) if len(shape) == 3 else 0
    return max(size if size <= _SHORT else runs, windows) + 1
