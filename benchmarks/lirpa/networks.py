"""Residual and convolutional networks on normalised pixels, with the radii that they are compared at."""

from collections.abc import Callable
from functools import partial

import attrs
import torch
import torch.nn.functional as F
from images import folder, images, normalized
from torch import Tensor, nn

import inradius
from inradius import ThreatModel


@attrs.frozen(eq=False)
class Case:
    """A network on normalised pixels with the radius, in pixels, that leaves a moderate share of its neurons unstable."""

    build: Callable[[], nn.Module]
    eps: float

    @property
    def threat(self) -> ThreatModel:
        return inradius.make(f"linf(eps={self.eps!r})", ThreatModel)


class Block(nn.Module):
    """The basic block of residual networks, with a projection where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(after), nn.BatchNorm2d(after)])
        same = stride == 1 and before == after
        project = nn.Conv2d(before, after, 1, stride, bias=False)
        self.skip = nn.Sequential() if same else nn.Sequential(project, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(h)) + self.skip(x))


def residual(
    strides: tuple[int, ...], widths: tuple[int, ...], stem: int, head: Callable[[], list[nn.Module]]
) -> nn.Module:
    """A stem with a stride, a block for each stride and width, and a head."""
    layers = [nn.Conv2d(3, 8, 3, stem, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    for before, after, stride in zip((8, *widths), widths, strides, strict=False):
        layers.append(Block(before, after, stride))
    return nn.Sequential(*layers, *head())


def dense_head() -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(16 * 4 * 4, 100), nn.ReLU(), nn.Linear(100, 10)]


def resnet2() -> nn.Module:
    return residual((2, 2), (16, 16), 2, dense_head)


def resnet4() -> nn.Module:
    return residual((2, 1, 2, 1), (16, 16, 16, 16), 2, dense_head)


def resnet18() -> nn.Module:
    """ResNet-18 of width 16 for 32 × 32 pixels."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for after, stride in ((16, 1), (32, 2), (64, 2), (128, 2)):
        layers += [Block(before, after, stride), Block(after, after, 1)]
        before = after
    return nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(128, 10))


def wide() -> nn.Module:
    """Three convolutions with 20,608 ReLUs, as networks for SVHN have them."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 8 * 8, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def seven() -> nn.Module:
    """The seven layers of the literature on interval training, with 229,888 ReLUs."""
    layers: list[nn.Module] = []
    for before, after, stride in ((3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 128, 1)):
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU()]
    dense = [nn.Flatten(), nn.Linear(128 * 16 * 16, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 10)]
    return nn.Sequential(*layers, *dense)


def drawn(build: Callable[[], nn.Module]) -> nn.Module:
    """The network with random weights, and running statistics that are not the identity's."""
    torch.manual_seed(0)
    net = build()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.7, 1.3)
            nn.init.normal_(layer.bias, 0.0, 0.1)
            layer.running_mean.normal_(0.0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    return net.eval()


def settled(build: Callable[[], nn.Module]) -> nn.Module:
    """The network with random weights, and the running statistics of the images in the folder."""
    net = drawn(build).train()
    with torch.no_grad():
        for _ in range(20):
            net(normalized(images()[0][:50]))
    return net.eval()


def trained(build: Callable[[], nn.Module]) -> nn.Module:
    """The network after 80 steps on the images in the folder."""
    net = drawn(build).train()
    x, y = images()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for step in range(80):
        part = torch.randperm(len(x), generator=torch.Generator().manual_seed(step))[:50]
        optimizer.zero_grad()
        F.cross_entropy(net(normalized(x[part])), y[part]).backward()
        optimizer.step()
    return net.eval()


def published(name: str, channels: int) -> nn.Module:
    """A network of the literature from its state dict."""
    c = channels
    net = nn.Sequential(
        nn.Conv2d(3, c, 4, 2, 1), nn.ReLU(), nn.Conv2d(c, 2 * c, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(128 * c, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    net.load_state_dict(torch.load(folder() / name, map_location="cpu", weights_only=True))
    return net.eval()


CNN_A, OVAL = partial(published, "cifar_cnn_a_mix.pth", 16), partial(published, "cifar_oval_base.pth", 8)
CROWN = {
    "resnet2_random": Case(partial(drawn, resnet2), 2 / 255),
    "resnet2_trained": Case(partial(trained, resnet2), 0.5 / 255),
    "resnet4_random": Case(partial(drawn, resnet4), 1.5 / 255),
    "resnet4_trained": Case(partial(trained, resnet4), 0.2 / 255),
    "cnn_a_mix": Case(CNN_A, 2 / 255),
    "oval_base": Case(OVAL, 2 / 255),
    "svhn_sized": Case(partial(drawn, wide), 2 / 255),
}
SEVEN = Case(partial(drawn, seven), 0.1 / 255)
