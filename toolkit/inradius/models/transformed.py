"""Networks behind random transforms of their inputs, and the transforms."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from inradius.errors import InputError


class Transformed(nn.Module):
    """A network that sees its inputs after transforms, which draw anew in each call: a random model.

    A transform is a function from inputs (n, *S) to inputs, and torch differentiates it; they apply in the order given. An attack
    that must survive them takes means (``eot``), as a bracket does by itself.
    """

    def __init__(self, network: nn.Module, *transforms: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        wrong = [one for one in transforms if not callable(one) or isinstance(one, type)]
        if wrong or not transforms:
            raise InputError(
                f"the transforms are {transforms!r}; allowed are functions of inputs, such as inradius.Shift(2)"
            )
        if not isinstance(network, nn.Module):
            raise InputError(f"the network is a {type(network).__name__}; allowed is a torch.nn.Module")
        self.network = network
        # those with buffers move with the network
        self.moved = nn.ModuleList(one for one in transforms if isinstance(one, nn.Module))
        self.transforms = transforms

    def forward(self, x: Tensor) -> Tensor:
        """The outputs for one draw."""
        for transform in self.transforms:
            x = transform(x)
        found: Tensor = self.network(x)
        return found


class Shift(nn.Module):
    """Images (n, C, H, W), each moved by up to ``pixels`` in both directions; 0 comes in at the edges."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 1:
            raise InputError(f"pixels={pixels!r} is not allowed; allowed is an integer ≥ 1")
        self.pixels = pixels

    def forward(self, x: Tensor) -> Tensor:
        """The moved images."""
        most, (height, width) = self.pixels, _sides(self, x)
        first = torch.randint(2 * most + 1, (2, len(x), 1), device=x.device)
        rows = first[0] + torch.arange(height, device=x.device)
        columns = first[1] + torch.arange(width, device=x.device)
        wide = functional.pad(x, (most, most, most, most)).permute(0, 2, 3, 1)
        place = torch.arange(len(x), device=x.device)[:, None, None]
        return wide[place, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


class Crop(nn.Module):
    """Images (n, C, H, W), each a random window of at least ``share`` of the sides, brought to the size of the image."""

    def __init__(self, share: float) -> None:
        super().__init__()
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise InputError(f"share={share!r} is not allowed; allowed is a number above 0 and at most 1")
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """The windows, bilinear."""
        _sides(self, x)
        if not len(x):
            return x
        draw = torch.rand(3, len(x), dtype=x.dtype, device=x.device)
        scale = self.share + (1 - self.share) * draw[0]
        centre = (2 * draw[1:] - 1) * (1 - scale)
        zero = torch.zeros_like(scale)
        moved = torch.stack([scale, zero, centre[0], zero, scale, centre[1]], 1).view(-1, 2, 3)
        grid = functional.affine_grid(moved, list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


class Noise(nn.Module):
    """Inputs with Gaussian noise of standard deviation ``sigma``."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 < sigma < float("inf"):
            raise InputError(f"sigma={sigma!r} is not allowed; allowed is a finite number above 0")
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """The inputs with noise; they may leave the box."""
        return x + self.sigma * torch.randn_like(x)


def _sides(asker: nn.Module, x: Tensor) -> tuple[int, int]:
    if x.ndim != 4:
        raise InputError(
            f"{type(asker).__name__} was given inputs of shape {tuple(x.shape)}; allowed are images (n, C, H, W)"
        )
    return x.shape[2], x.shape[3]
