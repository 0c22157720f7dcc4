"""Generators and critics."""

import math
from itertools import pairwise

from torch import Tensor, nn

from inradius import SpecError

Shape = tuple[int, ...]
Box = tuple[float, float] | None


class InBox(nn.Module):
    """A sigmoid from the real line onto (low, high)."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def extra_repr(self) -> str:
        return f"{self.low}, {self.high}"

    def forward(self, x: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * x.sigmoid()


def mlp_generator(latent: int, *widths: int, shape: Shape = (1, 8, 8), bounds: Box = (0.0, 1.0)) -> nn.Sequential:
    """Linear layers with ReLU from noise (B, latent) to (B, *shape); with ``bounds`` they end in a sigmoid onto them."""
    sizes = (latent, *widths, math.prod(shape))
    if not all(isinstance(size, int) and size > 0 for size in (*sizes, *shape)):
        raise SpecError(f"sizes {sizes} and shape {shape} do not define a generator; allowed are integers ≥ 1")
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Unflatten(1, shape), *_closing(bounds))


def dcgan_generator(
    latent: int = 128, width: int = 64, shape: Shape = (1, 28, 28), bounds: Box = (0.0, 1.0)
) -> nn.Sequential:
    """Transposed convolutions with BatchNorm from noise (B, latent) to images (B, *shape). Source: radford2016."""
    channels, height, across = _quarters(shape)
    return nn.Sequential(
        nn.Linear(latent, 2 * width * height * across),
        nn.Unflatten(1, (2 * width, height, across)),
        *(nn.BatchNorm2d(2 * width), nn.ReLU()),
        *(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        *_closing(bounds),
    )


def dcgan_critic(width: int = 64, shape: Shape = (1, 28, 28)) -> nn.Sequential:
    """Convolutions of stride two from images (B, *shape) to one number, without BatchNorm. Source: radford2016, gulrajani2017."""
    channels, height, across = _quarters(shape)
    return nn.Sequential(
        # a slope of 0.2: Radford et al. 2016, sec. 3; a penalty on each example's gradient allows no BatchNorm
        *(nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
        *(nn.Flatten(), nn.Linear(2 * width * height * across, 1)),
    )


def _quarters(shape: Shape) -> tuple[int, int, int]:
    """Channels, and a quarter of height and width. Raises ``SpecError`` for sides that cannot be halved twice."""
    if len(shape) != 3 or min(shape) < 1 or shape[1] % 4 or shape[2] % 4:
        raise SpecError(f"shape={shape} does not fit; allowed are (channels, height, width) with sides divisible by 4")
    return shape[0], shape[1] // 4, shape[2] // 4


def _closing(bounds: Box) -> list[nn.Module]:
    return [] if bounds is None else [InBox(*bounds)]
