"""JPEG compression as a layer."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from inradius.errors import InputError

_SIDE = 8
# the tables of the standard, for luminance and for the two colours
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_COLOUR = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


class JPEG(nn.Module):
    """Images (n, 1 or 3, H, W) in [0, 1] after JPEG compression at a quality from 1 to 100, of the same shape.

    The values are those of a decoded file with full resolution of the colours, but for coefficients that lie between two integers;
    rounding has the gradient of the identity. Source: wallace1992; for the gradient athalye2018.
    """

    cosines: Tensor
    tables: Tensor
    colours: Tensor

    def __init__(self, quality: int = 75) -> None:
        super().__init__()
        if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
            raise InputError(f"quality={quality!r} is not allowed; allowed is an integer from 1 to 100")
        self.quality = quality
        place = torch.arange(_SIDE, dtype=torch.float64)
        cosines = torch.cos((2 * place + 1) * place[:, None] * math.pi / (2 * _SIDE)) / 2
        cosines[0] /= math.sqrt(2)
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        base = torch.tensor((_LUMINANCE, _COLOUR, _COLOUR), dtype=torch.float64)
        self.register_buffer("cosines", cosines.float(), persistent=False)
        self.register_buffer("tables", ((base * scale + 50) / 100).floor().clamp(1, 255).float(), persistent=False)
        self.register_buffer("colours", torch.tensor(_TO_YCC), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The decoded images."""
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise InputError(f"JPEG was given inputs of shape {tuple(x.shape)}; allowed are images (n, 1 or 3, H, W)")
        height, width = x.shape[2:]
        levels = functional.pad(_rounded(255 * x), (0, -width % _SIDE, 0, -height % _SIDE), mode="replicate")
        colours = self.colours.to(x)
        found = levels if x.shape[1] == 1 else _rounded(torch.einsum("dc,nchw->ndhw", colours, levels))
        middle = torch.tensor([128.0, 0.0, 0.0], dtype=x.dtype, device=x.device)[: x.shape[1], None, None]
        # only luminance is stored around the middle, the colours around 0
        found = _rounded(self._coded(found - middle)) + middle
        back = (
            found
            if x.shape[1] == 1
            else torch.einsum("dc,nchw->ndhw", torch.linalg.inv(self.colours.double()).to(x), found)
        )
        return _rounded(back[:, :, :height, :width].clamp(0, 255)) / 255

    def _coded(self, planes: Tensor) -> Tensor:
        """The planes (n, C, H, W) after rounding of the coefficients of their blocks of 8 × 8."""
        count, channels, height, width = planes.shape
        cosines, tables = self.cosines.to(planes), self.tables.to(planes)[:channels]
        blocks = planes.view(count, channels, height // _SIDE, _SIDE, width // _SIDE, _SIDE)
        found = torch.einsum("ui,vj,ncaibj->ncabuv", cosines, cosines, blocks)
        kept = _rounded(found / tables[:, None, None]) * tables[:, None, None]
        return torch.einsum("ui,vj,ncabuv->ncaibj", cosines, cosines, kept).reshape(planes.shape)


def _rounded(values: Tensor) -> Tensor:
    """The nearest integers, with the gradient of the identity."""
    return values + (values.round() - values).detach()
