"""Normalisation as a layer, so that sets and certificates refer to the pixels themselves."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inradius.errors import InputError


class Normalize(nn.Module):
    """(x − mean) / std. A number applies to every coordinate; a sequence has one number for each channel of an image,
    (B, C, H, W).

    The layer belongs inside the network: Δ(x) is a set of pixels, and its radius must not depend on the network's
    scaling.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", _per_channel("mean", mean))
        self.register_buffer("std", _per_channel("std", std))
        if not bool((self.std > 0).all()):
            raise InputError(f"std={std!r} is not allowed; allowed are numbers > 0")
        if self.mean.ndim and self.std.ndim and self.mean.shape != self.std.shape:
            raise InputError(f"mean has {len(self.mean)} channels and std has {len(self.std)}; they must agree")

    def forward(self, x: Tensor) -> Tensor:
        """The normalised batch, (B, *S)."""
        channels = max(self.mean.numel(), self.std.numel())
        if channels > 1 and (x.ndim != 4 or x.shape[1] != channels):
            raise InputError(
                f"inputs of shape {tuple(x.shape)} do not fit {channels} channels; allowed is (B, {channels}, H, W)"
            )
        return (x - self.mean) / self.std

    def extra_repr(self) -> str:
        """The arguments that build an equal layer."""
        return f"mean={_listed(self.mean)}, std={_listed(self.std)}"


def _per_channel(name: str, values: float | Sequence[float]) -> Tensor:
    numbers = [values] if isinstance(values, int | float) else list(values)
    if not numbers or not all(isinstance(v, int | float) and math.isfinite(v) for v in numbers):
        raise InputError(f"{name}={values!r} is not allowed; allowed is a finite number, or one for each channel")
    tensor = torch.tensor(numbers, dtype=torch.get_default_dtype())
    return tensor.squeeze() if isinstance(values, int | float) else tensor.view(-1, 1, 1)


def _listed(values: Tensor) -> object:
    numbers = [round(float(v), 6) for v in values.flatten()]
    return tuple(numbers) if values.ndim else numbers[0]
