"""Small networks of torch that are exported to ONNX in tests: the blocks of vision and sequence models."""

import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    def __init__(self, inner, shortcut=None):
        super().__init__()
        self.inner, self.shortcut = inner, shortcut or nn.Identity()

    def forward(self, x):
        return F.relu(self.inner(x) + self.shortcut(x))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(7, 5, 1)

    def forward(self, x):
        x = torch.cat([x, F.relu(self.one(x))], 1)
        return torch.cat([x, self.two(x)], dim=1)


class UNet(nn.Module):
    def __init__(self, up):
        super().__init__()
        self.down, self.up, self.last = nn.Conv2d(3, 6, 3, stride=2, padding=1), up, nn.Conv2d(9, 2, 3, padding=1)

    def forward(self, x):
        return self.last(torch.cat([x, F.relu(self.up(self.down(x)))], 1))


class Attention(nn.Module):
    """Attention written as products of matrices, behind patches and a class token."""

    def __init__(self, size=8, heads=2):
        super().__init__()
        self.patch = nn.Conv2d(3, size, 4, stride=4)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, size)), nn.Parameter(torch.randn(1, 5, size))
        self.first, self.second = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.out, self.heads = nn.Linear(size, 3 * size), nn.Linear(size, size), heads
        self.mlp = nn.Sequential(nn.Linear(size, 16), nn.GELU(), nn.Linear(16, size))
        self.head = nn.Linear(size, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        b, t, c = x.shape
        q, k, v = self.qkv(self.first(x)).reshape(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(b, t, c))
        x = x + self.mlp(self.second(x))
        return self.head(x[:, 0])


class Sequence(nn.Module):
    """The last output, or the last state, of a recurrent layer."""

    def __init__(self, layer, size, *, state=False):
        super().__init__()
        self.layer, self.state, self.head = layer, state, nn.Linear(size, 2)

    def forward(self, x):
        found, last = self.layer(x)
        if self.state:
            last = last[0] if isinstance(last, tuple) else last
            return self.head(torch.cat([last[-1], last[0]], 1))
        return self.head(found[:, -1])


class Fused(nn.Module):
    """Torch's own attention of several heads."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, dropout=0.0)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.layer(x).mean(1))


class Gate(nn.Module):
    """A squeeze-and-excitation block, with channel weights from their means."""

    def __init__(self):
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 2), nn.Linear(2, 6)

    def forward(self, x):
        x = self.conv(x)
        weight = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return x * weight[:, :, None, None]


class Shuffled(nn.Module):
    """A channel shuffle and a split, as in ShuffleNet."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4)

    def forward(self, x):
        left, right = self.one(x).chunk(2, 1)
        x = torch.cat([left, self.two(right)], 1)
        b, c, h, w = x.shape
        return x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


class Windowed(nn.Module):
    """Attention within windows, with a mask for each window, as in shifted windows."""

    def __init__(self):
        super().__init__()
        mask = torch.zeros(4, 4, 4)
        mask[1:, :2, 2:] = -100.0
        self.register_buffer("mask", mask)
        self.qkv = nn.Linear(3, 9)

    def forward(self, x):
        b, c, h, w = x.shape
        x = x.reshape(b, c, 2, h // 2, 2, w // 2)[..., :2, :, :2].permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, c)
        q, k, v = self.qkv(x).chunk(3, -1)
        weights = q @ k.transpose(1, 2)
        weights = weights + self.mask.repeat(b, 1, 1)
        return (weights.softmax(-1) @ v).reshape(b, -1)


class Normed(nn.Module):
    """A function of tensors."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def normed(*layers):
    """Layers whose batch norms have stored numbers that are not trivial."""
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
    return model


def conv_bn(a, b, size=3, **options):
    return nn.Sequential(nn.Conv2d(a, b, size, padding=size // 2, bias=False, **options), nn.BatchNorm2d(b))


def models():
    """Networks by name, each with the shape of an input."""
    image, row, steps = (3, 8, 8), (6,), (5, 6)
    torch.manual_seed(0)
    return {
        "cnn": (normed(conv_bn(3, 4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)), image),
        "mlp": (nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 3)), row),
        "resnet": (
            normed(
                Residual(nn.Sequential(conv_bn(3, 4, stride=2), nn.ReLU(), conv_bn(4, 4)), conv_bn(3, 4, 1, stride=2)),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
            ), image,
        ),
        "mobilenet": (
            normed(conv_bn(3, 6, 1), nn.ReLU6(), conv_bn(6, 6, groups=6), nn.Hardswish(), conv_bn(6, 3, 1), Gate()),
            image,
        ),
        "hardsigmoid": (normed(conv_bn(3, 4), nn.Hardsigmoid(), nn.Dropout(0.5), nn.AvgPool2d(2)), image),
        "densenet": (normed(Dense(), nn.BatchNorm2d(12), nn.ReLU(), nn.AvgPool2d(2, 2)), image),
        "unet transposed": (UNet(nn.ConvTranspose2d(6, 6, 4, stride=2, padding=1)), image),
        "unet nearest": (UNet(nn.Upsample(scale_factor=2)), image),
        "unet bilinear": (UNet(nn.Upsample(scale_factor=2, mode="bilinear")), image),
        "unet aligned": (UNet(nn.Upsample(size=(8, 8), mode="bilinear", align_corners=True)), image),
        "unet bicubic": (UNet(nn.Upsample(scale_factor=2, mode="bicubic")), image),
        "vit": (Attention(), image),
        "windowed": (Windowed(), (3, 4, 4)),
        "encoder": (Fused(), (5, 8)),
        "shufflenet": (Shuffled(), image),
        "lstm": (Sequence(nn.LSTM(6, 4, batch_first=True), 4), steps),
        "lstm both": (Sequence(nn.LSTM(6, 4, num_layers=2, bidirectional=True, batch_first=True), 8), steps),
        "lstm state": (Sequence(nn.LSTM(6, 4, bidirectional=True, batch_first=True), 8, state=True), steps),
        "gru": (Sequence(nn.GRU(6, 4, batch_first=True), 4), steps),
        "gru state": (Sequence(nn.GRU(6, 4, bidirectional=True, batch_first=True), 8, state=True), steps),
        "rnn": (Sequence(nn.RNN(6, 4, batch_first=True), 4), steps),
        "rnn relu": (Sequence(nn.RNN(6, 4, nonlinearity="relu", batch_first=True, bias=False), 4), steps),
        "gelu": (nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.LayerNorm(5), nn.SiLU(), nn.Linear(5, 2)), row),
        "gelu tanh": (nn.Sequential(nn.Linear(6, 5), nn.GELU(approximate="tanh"), nn.Mish(), nn.Softplus()), row),
        "activations": (
            nn.Sequential(nn.Linear(6, 5), nn.ELU(), nn.SELU(), nn.CELU(0.5), nn.LeakyReLU(), nn.PReLU(), nn.Tanh()),
            row,
        ),
        "activations two": (
            nn.Sequential(nn.Linear(6, 5), nn.Softsign(), nn.LogSigmoid(), nn.Tanhshrink(), nn.Hardtanh(), nn.Softshrink()),
            row,
        ),
        "prelu": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)), image),
        "pools": (nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 1, 1), nn.AdaptiveMaxPool2d(1)), image),
        "pools ceil": (nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(3, 2, ceil_mode=True)), image),
        "pools uncounted": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), image),
        "adaptive": (nn.AdaptiveAvgPool2d(4), image),
        "padded": (
            nn.Sequential(nn.ReflectionPad2d(1), nn.ReplicationPad2d((1, 2, 0, 1)), nn.ZeroPad2d(1), nn.Conv2d(3, 2, 3)),
            image,
        ),
        "pixel shuffle": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.PixelShuffle(2), nn.PixelUnshuffle(2)), image),
        "conv1d": (nn.Sequential(nn.Conv1d(5, 4, 3, dilation=2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten()), steps),
        "conv3d": (nn.Sequential(nn.Conv3d(2, 3, 2), nn.ReLU(), nn.AvgPool3d(2), nn.Flatten(1)), (2, 5, 5, 5)),
        "softmax": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softmax(1), nn.LogSoftmax(2)), image),
        "view": (Normed(lambda x: x.view(x.size(0), -1)[:, 3:17:2]), image),
        "reductions": (Normed(lambda x: x.sum(1) + x.amax(1) - x.norm(dim=1) + x.prod(1) + x.logsumexp(1)), image),
        "mask": (Normed(lambda x: torch.where(torch.ones(8, 8).tril() > 0, x, torch.zeros(())).cumsum(-1)), image),
        "einsum": (Normed(lambda x: torch.einsum("bchw,bdhw->bcd", x, x.relu())), image),
        "moves": (Normed(lambda x: torch.stack([x.flip(2), x.roll(1, 2)], 1).unbind(2)[1].squeeze(1).repeat(1, 2, 1, 1)), image),
        "lrn": (nn.LocalResponseNorm(3), image),
        "clamps": (Normed(lambda x: x.clamp(min=-0.5) + x.clamp(max=0.25) + torch.minimum(x, x.abs()) + x**2), image),
        "normalize": (Normed(lambda x: F.normalize(x.flatten(1), dim=1) + x.flatten(1).std(1, keepdim=True)), image),
        "var": (Normed(lambda x: (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-5).sqrt()), image),
        "fixed": (Normed(lambda x: x.reshape(x.shape[0], 3, 4, 16).permute(0, 2, 1, 3).flatten(1, 2)), image),
    }  # fmt: skip
