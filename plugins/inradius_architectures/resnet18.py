"""ResNet-18 for images of 32 by 32 pixels, and with squeeze and excitation."""

from collections.abc import Callable

from torch import Tensor, nn

from inradius_architectures.choices import ACTIVATIONS, NORMS, check_choice, check_classes
from inradius_architectures.initial import fan_out
from inradius_architectures.residual import Residual

Layers = Callable[[int], nn.Module]

# the four stages: width before, width after, stride of the first block
_STAGES = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
# Hu et al. 2018, sec. 4: the reduction ratio of the two layers
_REDUCTION = 16


def resnet18(classes: int = 10, norm: str = "batch", activation: str = "relu") -> nn.Sequential:
    """Eight residual blocks (64, 128, 256, 512) with the activation after the sum, for (B, 3, 32, 32).

    norm: "batch", "group" (GroupNorm of 32 groups) or "none". activation: "relu", "celu", "gelu", "silu" or "softplus". The first
    convolution is 3 by 3 with stride 1, as for small images. Source: he2016deep.
    """
    check_choice("norm", norm, NORMS)
    check_choice("activation", activation, ACTIVATIONS)
    return _network(classes, NORMS[norm], ACTIVATIONS[activation], lambda width: nn.Identity())


def senet18(classes: int = 10) -> nn.Sequential:
    """The ResNet-18 with BatchNorm and ReLU whose blocks weigh their channels (squeeze and excitation), for (B, 3, 32, 32).

    Source: hu2018.
    """
    return _network(classes, NORMS["batch"], ACTIVATIONS["relu"], Excitation)


class Excitation(nn.Module):
    """The input with each channel times a weight in (0, 1), which two small layers compute from the channels' means.

    Source: hu2018.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(1, width // _REDUCTION)
        self.weigh = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1), nn.ReLU()),
            *(nn.Conv2d(inner, width, 1), nn.Sigmoid()),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The weighted channels, (B, C, H, W) -> (B, C, H, W)."""
        weighted: Tensor = x * self.weigh(x)
        return weighted


def _network(classes: int, norm: Layers, activation: Callable[[], nn.Module], last: Layers) -> nn.Sequential:
    check_classes(classes)
    first = [nn.Conv2d(3, 64, 3, padding=1, bias=False), norm(64), activation()]
    blocks = []
    for before, after, stride in _STAGES:
        blocks += [*_block(before, after, stride, norm, activation, last), activation()]
        blocks += [*_block(after, after, 1, norm, activation, last), activation()]
    head = [nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, classes)]
    return fan_out(nn.Sequential(*first, *blocks, *head))


def _block(
    before: int, after: int, stride: int, norm: Layers, activation: Callable[[], nn.Module], last: Layers
) -> tuple[nn.Module]:
    body = nn.Sequential(
        *(nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), norm(after), activation()),
        *(nn.Conv2d(after, after, 3, padding=1, bias=False), norm(after), last(after)),
    )
    if before == after and stride == 1:
        return (Residual(body),)
    return (Residual(body, nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), norm(after))),)
