"""Work on many directions in blocks, so that the temporaries of an algorithm stay small."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

# Numbers a block holds: on a CPU smaller blocks spend their time in calls and larger ones outside the cache.
_CPU = 1 << 19
_OTHER = 1 << 26

Kernel = Callable[..., tuple[Tensor, ...]]


def in_blocks(kernel: Kernel, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The kernel's answers for tensors that broadcast to (B, K, n), asked block by block over B and K."""
    batch, count, size = (_common(tensor.shape[axis] for tensor in tensors) for axis in range(3))
    block = _CPU if tensors[0].device.type == "cpu" else _OTHER
    if batch * count * size <= block:
        return kernel(*tensors)
    rows = max(1, block // size)
    directions = min(count, rows)
    examples = max(1, rows // count)
    strips = [
        _cat([kernel(*_parts(part, 1, k, directions)) for k in range(0, count, directions)], 1)
        for part in (_parts(tensors, 0, b, examples) for b in range(0, batch, examples))
    ]
    return _cat(strips, 0)


def _common(lengths: Iterable[int]) -> int:
    """The length that an axis broadcasts to."""
    return next((length for length in lengths if length != 1), 1)


def _parts(tensors: tuple[Tensor, ...], axis: int, start: int, length: int) -> tuple[Tensor, ...]:
    return tuple(
        t if t.shape[axis] == 1 else t.narrow(axis, start, min(length, t.shape[axis] - start)) for t in tensors
    )


def _cat(answers: list[tuple[Tensor, ...]], axis: int) -> tuple[Tensor, ...]:
    return answers[0] if len(answers) == 1 else tuple(torch.cat(same, axis) for same in zip(*answers, strict=True))
