"""VGG-16 for images of 32 by 32 pixels."""

from torch import nn

from inradius_architectures.choices import check_classes
from inradius_architectures.initial import fan_out

# Simonyan and Zisserman 2015, table 1, column D: the filters of each stage, which ends with a pooling
_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16(classes: int = 10) -> nn.Sequential:
    """Thirteen convolutions of 3 by 3 with BatchNorm, and one linear layer, for (B, 3, 32, 32).

    The paper's network is for images of 224 by 224 pixels, without BatchNorm and with three linear layers; this is the usual form
    for small images. Source: simonyan2015.
    """
    check_classes(classes)
    layers: list[nn.Module] = []
    before = 3
    for stage in _STAGES:
        for after in stage:
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        layers.append(nn.MaxPool2d(2))
    return fan_out(nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, classes)))
