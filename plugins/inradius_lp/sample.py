"""Random perturbations in units of the radius."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius import ExampleRNG


def scatter(
    length: Callable[[Tensor], Tensor], rng: ExampleRNG, shape: tuple[int, ...], dtype: torch.dtype, free: Tensor | None
) -> Tensor:
    """A random direction of a length up to 4, so that most points still end on the ball after the box cut them."""
    direction = rng.normal(shape, dtype=dtype)
    if free is not None:
        direction = direction * free.to(direction)
    share = 4 * rng.uniform(shape[:-1], dtype=dtype) / length(direction).clamp(min=torch.finfo(dtype).tiny)
    return direction * share.unsqueeze(-1)
