"""Small networks, one for each operator that bounds pass, by name: the network and the shape of an example."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Applied(nn.Module):
    """A function of a value and of modules."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(modules)

    def forward(self, x):
        return self.function(x, *self.parts)


def vector(function, *modules):
    return nn.Sequential(nn.Linear(5, 12), Applied(function, *modules), nn.Flatten(), nn.LazyLinear(3)), (5,)


def image(function, *modules):
    return nn.Sequential(nn.Conv2d(2, 4, 2, padding=1), Applied(function, *modules), nn.Flatten(), nn.LazyLinear(3)), (
        2,
        5,
        4,
    )


def sequence(function, *modules):
    return nn.Sequential(Applied(function, *modules), nn.Flatten(), nn.LazyLinear(3)), (3, 4)


def made(name, dtype=torch.float64):
    """The network of an operator with drawn weights, in eval mode, and the shape of an example."""
    torch.manual_seed(0)
    model, shape = OPERATORS[name]()
    model(torch.zeros(1, *shape))
    generator = torch.Generator().manual_seed(1)
    for each in (*model.parameters(), *model.buffers()):
        if each.is_floating_point() and (each == each.flatten()[0]).all():
            # weights of norms and PReLU are not the numbers that they begin with
            each.data = each.data * (0.5 + torch.rand(each.shape, generator=generator))
    return model.to(dtype).eval(), shape


SEEN = torch.tensor([[True, False, True], [False, True, False], [True, True, True]])

# limits of which some are none
LIMITS = torch.where(torch.arange(12) % torch.tensor([[2], [3]]) == 0, math.inf, torch.linspace(0, 0.5, 12))
LIMITS = LIMITS * torch.tensor([[-1.0], [1.0]])

OPERATORS = {
    # normalisation and statistics
    "group_norm": lambda: image(lambda x, norm: norm(x).relu(), nn.GroupNorm(2, 4)),
    "instance_norm": lambda: image(lambda x, norm: norm(x), nn.InstanceNorm2d(4, affine=True)),
    "layer_norm": lambda: vector(lambda x, norm: norm(x), nn.LayerNorm(12)),
    "rms_norm": lambda: vector(lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt()),
    "normalize": lambda: vector(F.normalize),
    "norm": lambda: vector(lambda x: torch.stack([x.norm(p=order, dim=1) for order in (1, 2, math.inf)], 1)),
    "var": lambda: vector(lambda x: torch.cat([x.var(1, keepdim=True), x.view(-1, 3, 4).var(2, unbiased=False)], 1)),
    "std": lambda: vector(lambda x: x.view(-1, 3, 4).std(2)),
    "var_mean": lambda: vector(lambda x: torch.cat(torch.var_mean(x.view(-1, 3, 4), dim=2), 1)),
    "cosine_similarity": lambda: vector(lambda x: F.cosine_similarity(x[:, :6], x[:, 6:])[:, None]),
    "logsumexp": lambda: vector(lambda x: x.view(-1, 3, 4).logsumexp(2)),
    "log_softmax": lambda: vector(lambda x: F.log_softmax(x, 1)),
    "prod": lambda: vector(lambda x: x.view(-1, 6, 2).prod(2)),
    # extremes
    "amax": lambda: vector(lambda x: x.view(-1, 3, 4).amax(2)),
    "amin": lambda: vector(lambda x: x.view(-1, 3, 4).amin((1, 2), keepdim=True)),
    "max_dim": lambda: vector(lambda x: x.view(-1, 3, 4).max(2)[0]),
    "max_pair": lambda: vector(lambda x: torch.max(x[:, :6], x[:, 6:])),
    "clamp_tensor": lambda: vector(lambda x: x.clamp(torch.linspace(-1, 0, 12).to(x), torch.linspace(0.5, 1, 12).to(x))),
    "clamp_some": lambda: vector(lambda x: x.clamp(LIMITS[0].to(x), LIMITS[1].to(x))),
    "minimum_some": lambda: vector(lambda x: torch.minimum(LIMITS[1].to(x), x) + torch.maximum(x, LIMITS[0].to(x))),
    "max_pool_padded": lambda: image(lambda x, pool: pool(x), nn.MaxPool2d(3, 2, 1)),
    "max_pool_ceil": lambda: image(lambda x, pool: pool(x), nn.MaxPool2d(2, 2, ceil_mode=True)),
    "max_pool_dilated": lambda: image(lambda x, pool: pool(x), nn.MaxPool2d(2, 1, 0, 2)),
    "max_pool_1d": lambda: image(lambda x, pool: pool(x.flatten(2)), nn.MaxPool1d(3, 2, ceil_mode=True)),
    "max_pool_3d": lambda: image(lambda x, pool: pool(x[:, None]), nn.MaxPool3d(2)),
    "adaptive_max_pool": lambda: image(lambda x, pool: pool(x), nn.AdaptiveMaxPool2d((3, 2))),
    "avg_pool_3d": lambda: image(lambda x, pool: pool(x[:, None]), nn.AvgPool3d(2, ceil_mode=True)),
    "local_response_norm": lambda: image(lambda x, norm: norm(x), nn.LocalResponseNorm(2)),
    # activations
    "prelu": lambda: vector(lambda x, act: act(x), nn.PReLU(12)),
    "mish": lambda: vector(F.mish),
    "selu": lambda: vector(F.selu),
    "hardswish": lambda: vector(lambda x: F.hardswish(3 * x)),
    "hardsigmoid": lambda: vector(lambda x: F.hardsigmoid(3 * x)),
    "glu": lambda: vector(F.glu),
    "logsigmoid": lambda: vector(F.logsigmoid),
    "softshrink": lambda: vector(lambda x: F.softshrink(x, 0.3)),
    # elementwise functions
    "sin": lambda: vector(lambda x: (4 * x).sin()),
    "cos": lambda: vector(lambda x: (4 * x).cos()),
    "atan": lambda: vector(torch.atan),
    "erf": lambda: vector(torch.erf),
    "log": lambda: vector(lambda x: (x.exp() + 0.1).log()),
    "log1p": lambda: vector(lambda x: x.abs().log1p()),
    "expm1": lambda: vector(torch.expm1),
    "cube": lambda: vector(lambda x: x**3),
    "fourth_power": lambda: vector(lambda x: x**4),
    "real_power": lambda: vector(lambda x: (x.abs() + 0.2) ** 1.7),
    "negative_power": lambda: vector(lambda x: (x.abs() + 0.5) ** -2),
    "root_at_zero": lambda: vector(lambda x: x.relu().sqrt()),
    "root_of_squares": lambda: vector(lambda x: x.square().view(-1, 3, 4).sum(2).sqrt()),
    # several operations at once
    "lerp": lambda: vector(lambda x: torch.lerp(x[:, :6], x[:, 6:].tanh(), 0.3)),
    "lerp_by_value": lambda: vector(lambda x: torch.lerp(x[:, :6], torch.ones(6).to(x), x[:, 6:].sigmoid())),
    "addcmul": lambda: vector(lambda x: torch.addcmul(x[:, :6], x[:, :6], x[:, 6:], value=0.5)),
    "addcdiv": lambda: vector(lambda x: torch.addcdiv(x[:, :6], x[:, :6], 1 + x[:, 6:].exp(), value=-2)),
    "bilinear_layer": lambda: vector(lambda x, part: part(x[:, :6], x[:, 6:]), nn.Bilinear(6, 6, 4)),
    # moves and resampling
    "bilinear": lambda: image(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
    "bilinear_aligned": lambda: image(lambda x: F.interpolate(x, size=(7, 3), mode="bilinear", align_corners=True)),
    "bicubic": lambda: image(lambda x: F.interpolate(x, size=(4, 7), mode="bicubic")),
    "linear": lambda: image(lambda x: F.interpolate(x.flatten(2), size=9, mode="linear")),
    "trilinear": lambda: image(lambda x: F.interpolate(x[:, None], size=(3, 4, 5), mode="trilinear")),
    "antialiased": lambda: image(lambda x: F.interpolate(x, size=(3, 2), mode="bilinear", antialias=True)),
    "nearest_exact": lambda: image(lambda x: F.interpolate(x, size=(4, 7), mode="nearest-exact")),
    "reflection_pad": lambda: image(lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect")),
    "replication_pad": lambda: image(lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate")),
    "circular_pad": lambda: image(lambda x, conv: conv(x), nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular")),
    "fold": lambda: image(lambda x: F.fold(F.unfold(x, 2, padding=1, stride=2), (6, 5), 2, padding=1, stride=2)),
    "cumsum": lambda: vector(lambda x: x.view(-1, 3, 4).cumsum(1)),
    # attention, with numbers of -inf in its masks
    "attention_causal": lambda: sequence(
        lambda x, part: F.scaled_dot_product_attention(part(x), x, x, is_causal=True), nn.Linear(4, 4)
    ),
    "attention_masked": lambda: sequence(lambda x: F.scaled_dot_product_attention(3 * x, x, x, attn_mask=SEEN)),
    "attention_unseen": lambda: sequence(
        lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=SEEN & (torch.arange(3) > 1)[:, None])
    ),
    "attention_mask_before_scale": lambda: sequence(
        lambda x: ((x @ x.transpose(1, 2)).masked_fill(~SEEN, -math.inf) / 2).softmax(-1) @ x
    ),
    "multihead_masked": lambda: sequence(
        lambda x, part: part(x, x, x, attn_mask=~SEEN)[0], nn.MultiheadAttention(4, 2, batch_first=True)
    ),
    "encoder_causal": lambda: sequence(
        lambda x, part: part(x, torch.full((3, 3), -math.inf, dtype=x.dtype).triu(1), is_causal=True),
        nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, norm_first=True),
    ),
    # recurrent layers
    "lstm": lambda: sequence(lambda x, cell: cell(x)[0], nn.LSTM(4, 2, batch_first=True)),
    "gru_both_ways": lambda: sequence(lambda x, cell: cell(x)[0], nn.GRU(4, 2, batch_first=True, bidirectional=True)),
    "rnn_two_layers": lambda: sequence(
        lambda x, cell: cell(x)[0], nn.RNN(4, 3, num_layers=2, nonlinearity="relu", batch_first=True)
    ),
    "lstm_cell": lambda: vector(lambda x, cell: cell(x)[0], nn.LSTMCell(12, 3)),
    "gru_cell": lambda: vector(lambda x, cell: cell(x), nn.GRUCell(12, 3)),
}  # fmt: skip
