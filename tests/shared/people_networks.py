"""Small networks of the kinds that people certify, for images of 1 × 8 × 8 pixels and ten classes."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """A block of a vision transformer: attention and a GELU network, each behind a layer norm and beside a skip connection."""

    def __init__(self, width, heads):
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.network = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens):
        h = self.first(tokens)
        tokens = tokens + self.attention(h, h, h, need_weights=False)[0]
        return tokens + self.network(self.second(tokens))


class VisionTransformer(nn.Module):
    """Patches of 2 × 2 pixels make 4 × 4 tokens, beside a class token that the logits are read from."""

    def __init__(self, width=32, blocks=2, heads=2):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, 17, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1) + self.places
        return self.out(self.norm(self.blocks(tokens))[:, 0])


class EncoderLayer(nn.Module):
    """The rows of the image as tokens, one ``nn.TransformerEncoderLayer``, and the mean of its tokens."""

    def __init__(self, width=32):
        super().__init__()
        self.embed, self.places = nn.Linear(8, width), nn.Parameter(0.02 * torch.randn(1, 8, width))
        self.layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
        self.out = nn.Linear(width, 10)

    def forward(self, x):
        return self.out(self.layer(self.embed(x.squeeze(1)) + self.places).mean(1))


class RowsLSTM(nn.Module):
    """An LSTM over the rows of the image; the logits are read from its last output."""

    def __init__(self, width=24):
        super().__init__()
        self.cell, self.out = nn.LSTM(8, width, batch_first=True), nn.Linear(width, 10)

    def forward(self, x):
        return self.out(self.cell(x.squeeze(1))[0][:, -1])


class Residual(nn.Module):
    """Two convolutions with group norm of one group beside a skip connection."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for _ in range(2))

    def forward(self, x):
        h = self.norms[0](self.first(x)).relu()
        return (x + self.norms[1](self.second(h))).relu()


def group_norm_resnet(width=8):
    stem = (nn.Conv2d(1, width, 3, stride=2, padding=1), nn.GroupNorm(1, width), nn.ReLU())
    return nn.Sequential(*stem, Residual(width), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10))


class Inverted(nn.Module):
    """An inverted residual of MobileNetV3: widening, a depthwise convolution, a squeeze of the channels, narrowing."""

    def __init__(self, width, wide):
        super().__init__()
        self.widen = nn.Sequential(nn.Conv2d(width, wide, 1), nn.BatchNorm2d(wide), nn.Hardswish())
        self.depthwise = nn.Sequential(
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide), nn.BatchNorm2d(wide), nn.Hardswish()
        )
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, 4, 1), nn.ReLU(), nn.Conv2d(4, wide, 1), nn.Hardsigmoid()
        )
        self.narrow = nn.Sequential(nn.Conv2d(wide, width, 1), nn.BatchNorm2d(width))

    def forward(self, x):
        h = self.depthwise(self.widen(x))
        return x + self.narrow(h * self.squeeze(h))


def mobile_net(width=8):
    stem = (nn.Conv2d(1, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.Hardswish())
    return nn.Sequential(*stem, Inverted(width, 16), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10))


class UNet(nn.Module):
    """Down to 4 × 4 and up again, with the fine image beside the coarse one, and the mean of the result over its places."""

    def __init__(self, width=8):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 2 * width, 3, padding=1)
        self.joined, self.out = nn.Conv2d(3 * width, width, 3, padding=1), nn.Linear(4 * width, 10)

    def forward(self, x):
        fine = self.fine(x).relu()
        coarse = self.coarse(F.max_pool2d(fine, 2)).relu()
        up = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        h = self.joined(torch.cat([fine, up], dim=1)).relu()
        return self.out(F.adaptive_avg_pool2d(h, 2).flatten(1))


class DenseNet(nn.Module):
    """Three convolutions, each of all that came before it, behind and before max-pooling."""

    def __init__(self, growth=6):
        super().__init__()
        self.stem = nn.Conv2d(1, growth, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(growth * k, growth, 3, padding=1) for k in range(1, 4))
        self.out = nn.Linear(growth * 4 * 4, 10)

    def forward(self, x):
        h = F.max_pool2d(self.stem(x).relu(), 2)
        for layer in self.layers:
            h = torch.cat([h, layer(h).relu()], dim=1)
        return self.out(F.max_pool2d(h, 2).flatten(1))


def perceptron(inputs=64, width=32):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )


def log_softmax_network():
    layers = (nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 32), nn.Tanh())
    return nn.Sequential(*layers, nn.Linear(32, 10), nn.LogSoftmax(dim=1))


class Ensemble(nn.Module):
    """The mean of the class probabilities of three networks."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList(perceptron(width=24) for _ in range(3))

    def forward(self, x):
        return torch.stack([member(x).softmax(1) for member in self.members]).mean(0)


class Chain(nn.Module):
    """A generator with transposed convolutions, from eight numbers to an image, and a controller that reads the image."""

    def __init__(self):
        super().__init__()
        self.start = nn.Linear(8, 16 * 2 * 2)
        self.generator = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )
        self.controller = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10)
        )

    def forward(self, z):
        return self.controller(self.generator(self.start(z).view(-1, 16, 2, 2)))


NETWORKS = {
    "vision transformer": VisionTransformer,
    "transformer encoder layer": EncoderLayer,
    "LSTM over rows": RowsLSTM,
    "ResNet with group norm": group_norm_resnet,
    "MobileNetV3 block": mobile_net,
    "U-Net classifier": UNet,
    "DenseNet block": DenseNet,
    "network ending in log_softmax": log_softmax_network,
    "mean of three softmaxes": Ensemble,
    "generator and controller": Chain,
}
