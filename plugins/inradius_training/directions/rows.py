"""The gradients of several rows of losses, and sums of them."""

import torch
from torch import Tensor, nn

from inradius import RunState

# the gradients of one row, a tensor for each parameter
Column = list[Tensor]


def row_gradients(losses: Tensor, parameters: list[nn.Parameter], run: RunState) -> list[Column]:
    """The gradient of the sum of each row of losses (k, B), summed over all processes; 0 where it does not depend on one."""
    columns = [_gradient(row, parameters, last=place == len(losses) - 1) for place, row in enumerate(losses)]
    return [[run.processes.sum(part) for part in column] for column in columns]


def finite_gram(columns: list[Column]) -> Tensor | None:
    """The inner products of the columns, (k, k) in float64; None where one is not finite."""
    total = torch.zeros(len(columns), len(columns), dtype=torch.float64)
    for parts in zip(*columns, strict=True):
        rows = torch.stack(parts).flatten(1).double()
        total += (rows @ rows.mT).cpu()
    return total if bool(total.isfinite().all()) else None


def mixture(columns: list[Column], weights: Tensor, parameters: list[nn.Parameter]) -> None:
    """Leaves Σ_j weights_j column_j in ``grad``."""
    for place, parameter in enumerate(parameters):
        parts = torch.stack([column[place] for column in columns])
        parameter.grad = torch.tensordot(weights.to(parts), parts, dims=1)


def _gradient(loss: Tensor, parameters: list[nn.Parameter], *, last: bool) -> Column:
    found = torch.autograd.grad(loss.sum(), parameters, retain_graph=not last, allow_unused=True)
    return [torch.zeros_like(p) if part is None else part for p, part in zip(parameters, found, strict=True)]
