"""The most numbers that rows may hold at once, and the parts of a batch that keep to it."""

import os
from collections.abc import Callable

import torch
from torch import Tensor

from inradius import Property
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.network.value_bounds import ValueBounds

# the count of copies of rows while they are pulled through a layer
_COPIES = 12
# the share of the free memory, where no amount is given
_SHARE = 0.25
# the sizes of blocks of rows and of batches of examples that are fastest on a CPU, because they stay in its caches
_ROWS, _EXAMPLES = 1 << 19, 1 << 22
# the assumed free memory of a machine that does not state it
_UNKNOWN = 4 << 30


def numbers_within(memory: float | None, x: Tensor) -> int:
    """The most numbers of the type of x that rows may have in ``memory`` megabytes; for None, in a share of the free memory."""
    size = _SHARE * free_bytes(x.device) if memory is None else memory * 2**20
    return max(1, int(size / (_COPIES * x.element_size())))


def row_limit(memory: float | None, x: Tensor) -> int:
    """The numbers of ``numbers_within``, or fewer, where even those are more than a block of rows or examples ever holds."""
    if memory is None and x.device.type == "cpu":
        # unused memory without what the system can free is read much faster
        least = int(_SHARE * _unused_bytes() / (_COPIES * x.element_size()))
        if least >= _EXAMPLES:
            return least
    return numbers_within(memory, x)


def free_bytes(device: torch.device) -> int:
    """The unused memory of a device, in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return _unused_bytes() or _UNKNOWN


def _unused_bytes() -> int:
    """The memory that nothing uses, in bytes, where the system tells; else 0."""
    names = getattr(os, "sysconf_names", {})
    known = "SC_AVPHYS_PAGES" in names and "SC_PAGE_SIZE" in names
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else 0


def rows_at_once(values: ValueBounds, numbers: int) -> int:
    """The most rows for each example that are pulled at once, where a row has ``numbers`` numbers at its widest."""
    if values.limit is None:
        return 1 << 62
    most = min(values.limit, _ROWS) if values.x.device.type == "cpu" else values.limit
    return max(1, most // (numbers * len(values.x)))


def in_parts(
    values: ValueBounds,
    prop: Property,
    run: Callable[[ValueBounds, Property], ClosedRows],
    numbers: int = 0,
    rows: int | None = None,
) -> ClosedRows:
    """The bounds that ``run`` finds, for a part of the examples at a time.

    numbers: the count of numbers that are kept of one row, where it is more than the widest value has. rows: the count of rows of
    this size that are kept of one example, where it is not that of the property.
    """
    count = _examples_at_once(values, max(1, prop.offsets.shape[1] if rows is None else rows), numbers)
    if count >= len(values.x):
        return run(values, prop)
    found, noise = [], []
    for index in torch.split(torch.arange(len(values.x), device=values.x.device), count):
        part = values.select(index)
        found.append(run(part, prop.select(index)))
        noise.append(torch.zeros_like(found[-1].value[:, 0]) if part.noise is None else part.noise)
    values.noise = torch.cat(noise)
    return ClosedRows.joined(found)


def _examples_at_once(values: ValueBounds, rows: int, numbers: int) -> int:
    if values.limit is None:
        return len(values.x)
    most = min(values.limit, _EXAMPLES) if values.x.device.type == "cpu" else values.limit
    return max(1, most // (rows * max(numbers, values.network.widest)))
