"""Building blocks as the common libraries of vision models write them, small: the function and the shape of an example."""

import torch
import torch.nn.functional as F
from torch import nn


class FusedAttention(nn.Module):
    """One linear layer makes queries, keys and values, which are reshaped, permuted and unbound."""

    def __init__(self, dim=8, heads=2, fused=True, norm=False):
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.q_norm, self.k_norm = (nn.LayerNorm(dim // heads) if norm else nn.Identity() for _ in range(2))

    def forward(self, x):
        batch, count, dim = x.shape
        q, k, v = self.qkv(x).reshape(batch, count, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.q_norm(q), self.k_norm(k)
        if self.fused:
            x = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = (q * (dim // self.heads) ** -0.5) @ k.transpose(-2, -1)
            x = scores.softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).reshape(batch, count, dim))


class WindowAttention(nn.Module):
    """Shifted windows: the image is rolled, cut into windows, attended with a bias of places and a mask, and put back."""

    def __init__(self, dim=4, size=4, window=2):
        super().__init__()
        self.window, self.shift, self.dim = window, window // 2, dim
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.randn(window**2, window**2) / 4)
        regions = torch.zeros(1, size, size, 1)
        for number, rows in enumerate((slice(0, -window), slice(-window, -self.shift), slice(-self.shift, None))):
            regions[:, rows] += 3 * number
            regions[:, :, rows] += number
        parts = self.cut(regions).squeeze(-1)
        apart = parts.unsqueeze(1) != parts.unsqueeze(2)
        self.register_buffer("mask", torch.zeros(apart.shape).masked_fill(apart, -100.0), persistent=False)

    def cut(self, x):
        batch, height, width, channels = x.shape
        w = self.window
        x = x.view(batch, height // w, w, width // w, w, channels)
        return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, w * w, channels)

    def forward(self, x):
        batch, height, width, dim = x.shape
        x = torch.roll(x, shifts=(-self.shift, -self.shift), dims=(1, 2))
        parts = self.cut(x)
        q, k, v = self.qkv(parts).view(-1, self.window**2, 3, dim).permute(2, 0, 1, 3).unbind(0)
        scores = q @ k.transpose(1, 2) * dim**-0.5 + self.bias
        scores = scores.view(batch, -1, *scores.shape[1:]) + self.mask.to(x.dtype)
        parts = self.proj(scores.softmax(-1).view(-1, self.window**2, self.window**2) @ v)
        w = self.window
        x = parts.view(batch, height // w, width // w, w, w, dim).permute(0, 1, 3, 2, 4, 5).reshape(x.shape)
        return torch.roll(x, shifts=(self.shift, self.shift), dims=(1, 2))


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution, a layer norm over the last axis, a GELU network and a scale for each channel."""

    def __init__(self, dim=4, responses=False):
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(dim, dim, 3, padding=1, groups=dim), nn.LayerNorm(dim, eps=1e-6)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.gamma, self.responses = nn.Parameter(0.5 * torch.ones(dim)), responses

    def forward(self, x):
        h = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        h = F.gelu(self.up(h))
        if self.responses:
            # global response normalisation
            size = h.norm(p=2, dim=(1, 2), keepdim=True)
            h = h + 0.5 * h * (size / (size.mean(dim=-1, keepdim=True) + 1e-3))
        return x + (self.gamma * self.down(h)).permute(0, 3, 1, 2)


class LayerNorm2d(nn.LayerNorm):
    """A layer norm over the channels of an image."""

    def forward(self, x):
        return F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps).permute(
            0, 3, 1, 2
        )


class MixerBlock(nn.Module):
    """Networks over the tokens and over the channels, in turn."""

    def __init__(self, tokens=4, dim=6):
        super().__init__()
        self.first, self.second = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.tokens = nn.Sequential(nn.Linear(tokens, 6), nn.GELU(), nn.Linear(6, tokens))
        self.channels = nn.Sequential(nn.Linear(dim, 8), nn.GELU(), nn.Linear(8, dim))

    def forward(self, x):
        x = x + self.tokens(self.first(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.second(x))


class SqueezeExcite(nn.Module):
    """An inverted residual with SiLU, and channels scaled by a sigmoid of their means."""

    def __init__(self, dim=4, wide=8):
        super().__init__()
        self.expand, self.expand_norm = nn.Conv2d(dim, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.depthwise, self.norm = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False), nn.BatchNorm2d(wide)
        self.reduce, self.restore = nn.Conv2d(wide, 2, 1), nn.Conv2d(2, wide, 1)
        self.project = nn.Conv2d(wide, dim, 1)

    def forward(self, x):
        h = F.silu(self.norm(self.depthwise(F.silu(self.expand_norm(self.expand(x))))))
        scale = h.mean((2, 3), keepdim=True)
        return x + self.project(h * torch.sigmoid(self.restore(F.silu(self.reduce(scale)))))


class Tokens(nn.Module):
    """Patches as tokens, with class and distillation tokens in front and places added, for a block; the two are averaged."""

    def __init__(self, block, dim=8):
        super().__init__()
        self.embed = nn.Conv2d(1, dim, 2, stride=2)
        self.cls, self.dist = (nn.Parameter(torch.randn(1, 1, dim) / 4) for _ in range(2))
        self.places, self.block = nn.Parameter(torch.randn(1, 6, dim) / 4), block

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), self.dist.expand(x.shape[0], -1, -1), x), dim=1)
        x = self.block(x + self.places)
        return (x[:, 0] + x[:, 1]) / 2


class Head(nn.Module):
    """A block, its mean over tokens or places where it has some, and three logits."""

    def __init__(self, block, features, axes=()):
        super().__init__()
        self.block, self.axes, self.out = block, axes, nn.Linear(features, 3)

    def forward(self, x):
        x = self.block(x)
        return self.out(x.mean(self.axes) if self.axes else x)


PATTERNS = {
    "fused attention": lambda: (Head(FusedAttention(), 8, (1,)), (3, 8)),
    "attention written out": lambda: (Head(FusedAttention(fused=False), 8, (1,)), (3, 8)),
    "attention with normalised queries": lambda: (Head(FusedAttention(norm=True), 8, (1,)), (3, 8)),
    "shifted windows": lambda: (Head(WindowAttention(), 4, (1, 2)), (4, 4, 4)),
    "ConvNeXt block": lambda: (Head(ConvNeXtBlock(), 4, (2, 3)), (4, 3, 3)),
    "ConvNeXt block with responses": lambda: (Head(ConvNeXtBlock(responses=True), 4, (2, 3)), (4, 3, 3)),
    "layer norm of channels": lambda: (Head(nn.Sequential(LayerNorm2d(4), nn.ReLU()), 4, (2, 3)), (4, 3, 3)),
    "mixer block": lambda: (Head(MixerBlock(), 6, (1,)), (4, 6)),
    "squeeze and excitation": lambda: (Head(SqueezeExcite(), 4, (2, 3)), (4, 4, 4)),
    "class and distillation tokens": lambda: (Head(Tokens(FusedAttention()), 8), (1, 4, 4)),
}
