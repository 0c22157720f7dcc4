"""Smaller batches where the memory does not suffice: results are those of the whole batch, since batch mates change nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from inradius.bracketing.plan import Plan
from inradius.bracketing.stages import Findings, Stage
from inradius.errors import UnsupportedError
from inradius.models.memory import of_memory, release


def answer(stage: Stage, plan: Plan, rows: Sequence[int], fitting: dict[str, int]) -> Findings:
    """The answers of a stage for these rows, for which the memory does not suffice at once, in parts.

    ``fitting`` has the number of rows at once that a stage had memory for, by its name, and is kept up to date. Raises
    ``UnsupportedError`` where the memory does not suffice for one example.
    """
    size = fitting.get(stage.name, max(1, len(rows) // 2))
    while True:
        try:
            parts = [stage.answer(plan, rows[first : first + size]) for first in range(0, len(rows), size)]
            fitting[stage.name] = size
            return parts[0] if len(parts) == 1 else _joined(rows, parts)
        except Exception as error:
            if not of_memory(error):
                raise
            if min(size, len(rows)) == 1:
                raise UnsupportedError(
                    f"{stage.title} has not enough memory for one example ({str(error).splitlines()[0]}); give a device with more, "
                    "or a method that needs less"
                ) from error
        # here, because the error holds what the batch had in memory
        release()
        size = min(size, len(rows)) // 2


def _joined(rows: Sequence[int], parts: Sequence[Findings]) -> Findings:
    """The answers for consecutive parts of the rows as one."""
    found = [part.witnesses for part in parts if part.witnesses is not None]
    witnesses = _joined([row for part in found for row in part.rows], found) if found else None
    return Findings(rows, _columns([part.columns for part in parts]), _cat([part.delta for part in parts]), witnesses)


def _columns(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns of consecutive parts: tensors as one tensor, and lists as one list."""
    names = parts[0]
    return {
        name: torch.cat([part[name] for part in parts])
        if isinstance(names[name], Tensor)
        else [value for part in parts for value in part[name]]
        for name in names
    }


def _cat(parts: Sequence[Tensor | None]) -> Tensor | None:
    kept = [part for part in parts if part is not None]
    return torch.cat(kept) if kept else None
