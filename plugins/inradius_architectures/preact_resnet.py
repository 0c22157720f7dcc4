"""PreActResNet-18 for images of 32 by 32 pixels."""

from torch import nn

from inradius import SpecError
from inradius_architectures.initial import fan_out
from inradius_architectures.preactivation import activation, stage


def preact_resnet18(classes: int = 10) -> nn.Sequential:
    """Eight pre-activation residual blocks (64, 128, 256, 512), for (B, 3, 32, 32).

    Source: he2016.
    """
    if classes < 2:
        raise SpecError(f"classes={classes} is not allowed; allowed is an integer ≥ 2")
    stages = [*stage(64, 64, 2, 1), *stage(64, 128, 2, 2), *stage(128, 256, 2, 2), *stage(256, 512, 2, 2)]
    head = [*activation(512), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, classes)]
    return fan_out(nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), *stages, *head))
