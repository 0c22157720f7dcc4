"""Networks that are no chain of layers, and curves: for the laws of bounds and for drills."""

import torch
import torch.nn.functional as F
from torch import nn

from inradius_bounds.rules.functions import SquareLayer

CURVES = [
    nn.LeakyReLU(0.1),
    nn.LeakyReLU(-0.5),
    nn.LeakyReLU(2.0),
    nn.Hardtanh(-0.5, 1.5),
    nn.ReLU6(),
    nn.ELU(),
    nn.ELU(2.5),
    nn.CELU(0.7),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.Softplus(),
    nn.Softplus(beta=3, threshold=5),
    nn.GELU(),
    nn.GELU(approximate="tanh"),
    nn.SiLU(),
    SquareLayer(),
]


class Residual(nn.Module):
    """A block with a skip connection, its sum taken in place."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, stride, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.skip = nn.Identity() if stride == 1 else nn.Conv2d(channels, channels, 1, stride)

    def forward(self, x):
        out = F.relu(self.norm(self.first(x)))
        out = self.second(out)
        out += self.skip(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3, padding=1)
        self.blocks = nn.Sequential(Residual(3), Residual(3, 2))
        self.out = nn.Linear(3, 4)

    def forward(self, x):
        x = self.blocks(torch.relu(self.stem(x)))
        x = F.adaptive_avg_pool2d(x, 1)
        return self.out(x.view(x.size(0), -1))


class Mixed(nn.Module):
    """Reuse of a layer, concatenation, weights outside of layers, and several curves at one level."""

    def __init__(self):
        super().__init__()
        self.inner, self.again = nn.Linear(4, 4), nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.randn(4))
        self.out = nn.Linear(12, 3)

    def forward(self, x):
        x = x.flatten(1)
        h = torch.tanh(self.again(self.again(x).relu()))
        g = F.gelu(self.inner(h) * self.scale + h - 0.5 * x)
        return self.out(torch.cat([g - 0.5 * h, torch.sigmoid(h), torch.maximum(h, x)], dim=1))


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pool, self.out = nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(3, 2, 1), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.pool(F.leaky_relu(self.conv(x), 0.1)).flatten(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(2, 2) for _ in range(3))
        self.norm, self.out = nn.LayerNorm(2), nn.Linear(4, 3)

    def forward(self, x):
        weights = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) / 2, dim=-1)
        return self.out(self.norm(weights @ self.value(x) + x).flatten(1))


class RandomGraph(nn.Module):
    """Values made one after the other, each of any earlier ones by an operator drawn at random."""

    OPERATORS = (
        "linear",
        "relu",
        "add",
        "sub",
        "tanh",
        "mul",
        "cat",
        "leaky",
        "square",
        "max",
        "slice",
        "clamp",
        "mean",
    )

    def __init__(self, seed, steps):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        draw = lambda high: int(torch.randint(high, (1,), generator=generator))  # noqa: E731
        self.plan = [
            (self.OPERATORS[draw(len(self.OPERATORS))], draw(place + 1), draw(place + 1)) for place in range(steps)
        ]
        torch.manual_seed(seed)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(steps))
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        values = [x.flatten(1)]
        for layer, (name, first, second) in zip(self.layers, self.plan, strict=True):
            values.append(self.apply_one(name, layer, values[first], values[second]))
        return self.out(torch.cat([values[-1], values[len(values) // 2]], dim=1))

    @staticmethod
    def apply_one(name, layer, a, b):
        return {
            "linear": lambda: layer(a),
            "relu": lambda: F.relu(layer(a)),
            "add": lambda: a + 0.5 * b,
            "sub": lambda: layer(a) - b,
            "tanh": lambda: torch.tanh(a),
            "mul": lambda: torch.tanh(a) * torch.sigmoid(b),
            "cat": lambda: torch.cat([a[:, :2], b[:, 2:]], dim=1),
            "leaky": lambda: F.leaky_relu(a, 0.25),
            "square": lambda: torch.tanh(a) ** 2,
            "max": lambda: torch.maximum(a, b),
            "slice": lambda: a[:, [3, 0, 2, 1]].neg(),
            "clamp": lambda: a.clamp(-0.25, 0.375),
            "mean": lambda: a - b.mean(1, keepdim=True),
        }[name]()


class Lambda(nn.Module):
    """A function of images (B, 2, 4, 4), with weights for those that need some."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.image, self.kernel, self.back = (
            nn.Parameter(torch.randn(shape)) for shape in ((4, 4), (3, 2, 2, 2), (2, 3, 2, 2))
        )
        self.register_buffer("mean", torch.randn(2))
        self.bias, self.line, self.variance = (nn.Parameter(torch.randn(shape)) for shape in ((3,), (3, 2, 2), (2,)))

    def forward(self, x):
        out = self.function(self, x).flatten(1)
        return torch.stack([out[:, 0] - out[:, -1], out.mean(1), out[:, 1] + 0.1], dim=1)


OPERATORS = {
    "conv_transpose2d": lambda m, x: F.relu(F.conv_transpose2d(x, m.back, m.bias, stride=2)),
    "conv2d": lambda m, x: F.conv2d(x.relu(), m.kernel, m.bias, stride=2, dilation=2, padding=1),
    "conv1d": lambda m, x: F.conv1d(x.flatten(2), m.line, bias=m.bias, padding=1),
    "linear": lambda m, x: F.linear(x, m.image).tanh() @ m.image,
    "matmul": lambda m, x: torch.matmul(m.image, x),
    "pad": lambda m, x: F.pad(x, (1, 0, 2, 1), value=0.7),
    "permute": lambda m, x: x.permute(0, 3, 1, 2).contiguous().transpose(1, 2),
    "split": lambda m, x: torch.cat([half.relu() for half in reversed(x.split(2, dim=3))], dim=2),
    "chunk": lambda m, x: torch.stack([*(each - 0.5 for each in x.chunk(2, dim=1)), x[:, :1]], dim=1),
    "unbind": lambda m, x: x.unbind(2)[1] * 3 - x.unbind(2)[0] / m.image[0, 0],
    "sum": lambda m, x: (2 - x.sum((2, 3), keepdim=True) + x).sigmoid(),
    "mean": lambda m, x: x.mean(dim=(1, 2)).square(),
    "avg_pool": lambda m, x: F.avg_pool2d(x, 2, 1) - F.adaptive_avg_pool2d(x, (3, 3)),
    "max_pool": lambda m, x: F.max_pool2d(x, 2, stride=1, padding=1, dilation=1),
    "batch_norm": lambda m, x: F.batch_norm(x, m.mean, m.mean.abs() + 0.5, m.variance, eps=0.1),
    "layer_norm": lambda m, x: F.layer_norm(x, (4, 4), m.image, m.image),
    "softmax": lambda m, x: F.softmax(3 * x[:, 0, 0] - x[:, 1, 1], dim=1),
    "min": lambda m, x: torch.minimum(x[:, :1], x[:, 1:]) + torch.max(x[:, :1], -x[:, 1:]),
    "abs": lambda m, x: (x - 0.5).abs() + F.relu6(4 * x) + F.hardtanh(x - 0.2, -0.1, 0.3),
    "pow": lambda m, x: (x - 0.3) ** 2 + (x + 1) ** -1 + (x + 1).pow(0.5),
    "quotient": lambda m, x: x[:, :1] / (1 + x[:, 1:] * x[:, 1:]),
    "exp": lambda m, x: (-x).exp() + F.silu(4 * x - 2) + F.softplus(x, beta=2) + F.elu(x - 0.5) + F.celu(x - 0.4),
    "product": lambda m, x: x[:, :1] * x[:, 1:] * m.image,
    "attention": lambda m, x: x[:, 0] @ x[:, 1],
    "expand": lambda m, x: x.mean((2, 3), keepdim=True).expand(-1, 2, 3, 3) * 2 + x[:, :, 1:, 1:],
    "reuse": lambda m, x: F.conv2d(F.pad(F.relu(F.conv2d(x, m.kernel)), (1, 0, 1, 0))[:, :2], m.kernel).relu(),
}
