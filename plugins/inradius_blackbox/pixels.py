"""Pixels: the numbers of an input that change together."""

from torch import Tensor


def channels_of(x: Tensor, per: str) -> int:
    """The number of numbers in a pixel: the channels of images (B, channels, H, W), otherwise 1."""
    return x.shape[1] if per == "pixel" and x.ndim == 4 else 1


def by_pixel(x: Tensor, channels: int) -> Tensor:
    """The numbers of each pixel in a column, (B, *S) -> (B, channels, pixels)."""
    return x.reshape(len(x), channels, x.shape[1:].numel() // channels)
