"""Wide residual networks for images of 32 by 32 pixels."""

from torch import nn

from inradius import SpecError
from inradius_architectures.initial import fan_out
from inradius_architectures.preactivation import activation, stage


def wide_resnet(depth: int = 28, width: int = 10, classes: int = 10) -> nn.Sequential:
    """(depth − 4) / 2 pre-activation residual blocks in three stages of 16, 32 and 64 times ``width``, for (B, 3, 32, 32).

    Source: zagoruyko2016.
    """
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1 or width < 1 or classes < 2:
        raise SpecError(
            f"depth={depth}, width={width}, classes={classes} is not a network; "
            "allowed are depths 6n + 4 ≥ 10, widths ≥ 1 and classes ≥ 2"
        )
    narrow, middle, broad = 16 * width, 32 * width, 64 * width
    stages = [*stage(16, narrow, blocks, 1), *stage(narrow, middle, blocks, 2), *stage(middle, broad, blocks, 2)]
    head = [*activation(broad), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(broad, classes)]
    return fan_out(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), *stages, *head))
