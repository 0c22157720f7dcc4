"""Random graphs for the soundness drill: every operator meets the raw input, other values, constants and shared weights.

An operator is a function of a ``Draft``, which adds one or several steps to it. ``OPERATORS`` holds those that had bounds at
commit 24277d0, of which the drill demands finite bounds; ``OTHERS`` those that had none, which may be bounded or refused.
Numbers in the text of a graph are dyadic fractions, so that they are the same in every precision.
"""

import math
import warnings

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.125),
    "leaky_relu_falling": lambda: nn.LeakyReLU(-0.5),
    "hardtanh": lambda: nn.Hardtanh(-0.5, 1.5),
    "relu6": nn.ReLU6,
    "elu": lambda: nn.ELU(0.75),
    "celu": lambda: nn.CELU(0.5),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": lambda: nn.Softplus(2.0, 8.0),
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "silu": nn.SiLU,
    "identity": nn.Identity,
    "dropout": lambda: nn.Dropout(0.5),
}

# elementwise functions of one value; None of them grows faster than a square
CURVES = {
    "relu": F.relu,
    "relu_method": lambda z: z.relu(),
    "leaky_relu": lambda z: F.leaky_relu(z, 0.25),
    "elu": lambda z: F.elu(z, 0.5),
    "celu": lambda z: F.celu(z, 0.75),
    "sigmoid": torch.sigmoid,
    "tanh": lambda z: z.tanh(),
    "softplus": lambda z: F.softplus(z, beta=2.0),
    "gelu": F.gelu,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
    "hardtanh": lambda z: F.hardtanh(z, -0.75, 0.5),
    "relu6": F.relu6,
    "exp": lambda z: torch.exp(-z.abs()),
    "exp_of_tanh": lambda z: z.tanh().exp(),
    "square": torch.square,
    "power": lambda z: z**2,
    "abs": lambda z: z.abs(),
    "clamp": lambda z: z.clamp(-0.5, 0.75),
    "clamp_below": lambda z: torch.clamp(z, min=-0.25),
    "neg": lambda z: -z,
    "rsub": lambda z: 0.5 - z,
    "scaled": lambda z: 2 * z - z / 4,
    "own_product": lambda z: z * z,
    "own_gate": lambda z: z * torch.sigmoid(z),
    "own_quotient": lambda z: z / (z.abs() + 0.5),
    "reciprocal": lambda z: 1 / (z * z + 0.5),
    "power_minus_one": lambda z: (z.abs() + 0.75).pow(-1),
    "square_root": lambda z: (z * z + 0.25).sqrt(),
    "rsqrt": lambda z: torch.rsqrt(z.square() + 0.5),
    "root": lambda z: (z.relu() + 0.5) ** 0.5,
    "softmax": lambda z: torch.softmax(z, dim=-1),
    "sum": lambda z: z - z.sum(-1, keepdim=True),
    "mean": lambda z: z - z.mean(-1, keepdim=True),
    "share": lambda z: (z.abs() + 0.25) / (z.abs() + 0.25).sum(-1, keepdim=True),
    "mean_of_all": lambda z: z + z.flatten(1).mean(1).view(-1, *[1] * (z.ndim - 1)),
    "variance": lambda z: (z - z.mean(-1, keepdim=True)).square().mean(-1, keepdim=True) + z,
    "flip": lambda z: z.flip(-1) - 0.5 * z,
    "added_in_place": lambda z: _added(z),
    "slices": lambda z: torch.cat([z[..., 1:], z[..., :1]], dim=-1),
    "every_other": lambda z: torch.cat([z[..., ::2], z[..., 1::2]], dim=-1),
    "reversed": lambda z: z[..., list(range(z.shape[-1]))[::-1]],
    "flat_and_back": lambda z: z.reshape(z.shape[0], -1).view(z.shape),
    "viewed": lambda z: z.flatten(1).view(z.size(0), *z.shape[1:]) * 1.5,
    "layer_norm": lambda z: F.layer_norm(z, z.shape[-1:], eps=0.125),
    "unsqueezed": lambda z: z.unsqueeze(1).expand(z.shape[0], 2, *z.shape[1:]).sum(1),
    "stacked": lambda z: torch.stack([z, -z.relu()], dim=1).mean(1),
    "split": lambda z: torch.cat([part.relu() for part in z.split(1, dim=-1)], dim=-1),
    "unbound": lambda z: z.unbind(-1)[0].unsqueeze(-1) + z,
}

# the same for functions that the capture of 24277d0 did not know
OTHER_CURVES = {
    "log": lambda z: (z.abs() + 0.5).log(),
    "log1p": lambda z: torch.log1p(z.square()),
    "sin": torch.sin,
    "cumsum": lambda z: z.cumsum(-1),
    "largest": lambda z: z - z.amax(-1, keepdim=True),
    "max_along": lambda z: z.max(-1, keepdim=True).values + z,
    "logsumexp": lambda z: z - torch.logsumexp(z, -1, keepdim=True),
    "log_softmax": lambda z: F.log_softmax(z, -1),
    "norm": lambda z: z / (z.norm(dim=-1, keepdim=True) + 0.5),
    "normalize": lambda z: F.normalize(z, dim=-1, eps=0.125),
    "standard_deviation": lambda z: z - z.std(-1, keepdim=True, correction=0),
    "where": lambda z: torch.where(z > 0.25, z, 0.5 * z),
    "sorted": lambda z: z.sort(-1).values,
    "sign": lambda z: z * z.sign(),
    "floor": lambda z: z - z.floor(),
    "product_of_all": lambda z: z + z.prod(-1, keepdim=True),
    "cube": lambda z: z.clamp(-1, 1) ** 3,
    "erf": torch.erf,
    "cos": torch.cos,
    "atan": torch.atan,
    "expm1": torch.expm1,
    "fourth_power": lambda z: z.clamp(-1, 1) ** 4,
    "real_power": lambda z: (z.abs() + 0.25) ** 1.5,
    "root_at_zero": lambda z: z.relu().sqrt(),
    "softshrink": lambda z: F.softshrink(z, 0.25),
    "glu": lambda z: F.glu(torch.cat([z, z.flip(-1)], dim=-1)),
    "masked_softmax": lambda z: z.masked_fill(_first(z), -math.inf).softmax(-1) if z.shape[-1] > 1 else z,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "softsign": F.softsign,
    "selu": F.selu,
    "prelu": lambda z: F.prelu(z, torch.tensor([0.125], dtype=z.dtype)),
    "logsigmoid": F.logsigmoid,
    "relu_": lambda z: (z * 1).relu_(),
    "mul_": lambda z: (z + 0).mul_(0.5).sub_(0.25),
    "set_item": lambda z: _zeroed(z),
    "ones_like": lambda z: torch.ones_like(z) - z,
    "new_zeros": lambda z: z.new_zeros(z.shape) + z,
    "zeros": lambda z: torch.zeros(z.shape[0], 1, dtype=z.dtype).view(-1, *[1] * (z.ndim - 1)) + z,
    "addcmul": lambda z: torch.addcmul(z, z, z, value=0.5),
    "added_with_alpha": lambda z: torch.add(z, z.relu(), alpha=0.5),
    "lerp": lambda z: torch.lerp(z, z.tanh(), 0.25),
    "clamp_by_tensors": lambda z: torch.clamp(z, torch.zeros_like(z), torch.ones_like(z)),
    "argmax": lambda z: z + z.argmax(-1, keepdim=True).to(z.dtype),
    "cast": lambda z: z.double().relu().to(z.dtype),
    "item": lambda z: z * float(z.detach().sum() > 0),
    "sum_of_squares": lambda z: z - (z * z).sum(-1, keepdim=True).rsqrt(),
}

PAIRS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: 0.5 * a - b,
    "product": lambda a, b: a * b,
    "gate": lambda a, b: a * torch.sigmoid(b),
    "highway": lambda a, b: a * torch.sigmoid(b) + b * (1 - torch.sigmoid(b)),
    "quotient": lambda a, b: a / (b * b + 0.5),
    "quotient_of_exp": lambda a, b: a / (1 + torch.exp(b.clamp(-2, 2))),
    "maximum": torch.maximum,
    "minimum": lambda a, b: torch.minimum(a, 0.5 * b),
    "max": lambda a, b: torch.max(a, b),
    "residual": lambda a, b: a + F.relu(b),
    "cat": lambda a, b: torch.cat([a[..., :1], b[..., 1:]], dim=-1),
    "dot": lambda a, b: (a * b).sum(-1, keepdim=True) + b,
    "added_in_place": lambda a, b: _added(a, b),
}


def _added(a, b=1.0):
    h = a * 1
    h += b
    return h


def _first(z):
    """True at the first of the last axis."""
    return torch.arange(z.shape[-1]) == 0


def _zeroed(z):
    h = z * 1
    h[..., 0] = 0.5
    return h


class Graph(nn.Module):
    """The last of values made one after the other, each by a step from this module and the values before it."""

    def __init__(self):
        super().__init__()
        # with ``cuts`` off a detached value is not, which changes no value: attacks see through
        self.steps, self.cuts = [], True

    def forward(self, x):
        values = [x]
        for step in self.steps:
            values.append(step(self, values))
        return values[-1]

    def __getitem__(self, name):
        return getattr(self, name)

    def cut(self, value):
        return value.detach() if self.cuts else value


class Draft:
    """A graph on its way: what its values are for a few examples, and the operators that made them."""

    def __init__(self, draw, x):
        self.draw, self.graph, self.values, self.names = draw, Graph(), [x], []
        self.count = 0

    def add(self, step):
        """The place of one more value."""
        with torch.no_grad():
            self.values.append(step(self.graph, self.values))
        self.graph.steps.append(step)
        return len(self.values) - 1

    def shape(self, place):
        return tuple(self.values[place].shape[1:])

    def pick(self, ndim=None, like=None):
        """The place of a value of moderate size, often the input itself; with ``like`` one of the same shape."""
        fits = [
            place
            for place in range(len(self.values))
            if (ndim is None or len(self.shape(place)) == ndim)
            and (like is None or self.shape(place) == self.shape(like))
        ]
        if not fits:
            return self.reshaped(self.pick(), ndim)
        chosen = fits[0] if fits[0] == 0 and self.draw.random() < 0.4 else self.draw.choice(fits)
        return self.tamed(chosen)

    def tamed(self, place):
        """The value itself, or brought to moderate size where it is not."""
        size = float(self.values[place].abs().max())
        if not math.isfinite(size) or size == 0 or 2**-6 < size < 2**4 or self.draw.random() < 0.15:
            return place
        factor = 2.0 ** -round(math.log2(size))
        return self.add(lambda m, v: v[place] * factor)

    def reshaped(self, place, ndim):
        """The value as a vector, as rows or as an image."""
        size = self.values[place][0].numel()
        if ndim == 1:
            return self.add(lambda m, v: v[place].flatten(1))
        wide = next(part for part in (3, 2, 1) if size % part == 0)
        shape = (size // wide, wide) if ndim == 2 else (1, size // wide, wide)
        return self.add(lambda m, v: v[place].reshape(v[place].shape[0], *shape))

    def weight(self, *shape, kind="parameter", gain=1.0):
        """The name of a parameter, a buffer or a plain tensor of the graph."""
        fan = math.prod(shape[1:]) if len(shape) > 1 else 1
        return self.stored(gain * torch.randn(shape) / fan**0.5, kind)

    def stored(self, value, kind="parameter"):
        name = f"{kind}{self.count}"
        self.count += 1
        if kind == "parameter":
            self.graph.register_parameter(name, nn.Parameter(value))
        elif kind == "buffer":
            self.graph.register_buffer(name, value)
        else:
            setattr(self.graph, name, value)
        return name

    def any_weight(self, *shape):
        return self.weight(*shape, kind=self.draw.choice(["parameter", "buffer", "plain"]))

    def layer(self, build):
        """The name of a layer, with weights of a size that lets its input matter; one that is there already, at times."""
        layer = build()
        with torch.no_grad():
            for value in layer.parameters():
                value.copy_(torch.randn_like(value) / (value[0].numel() ** 0.5 if value.ndim > 1 else 4.0))
            for name, value in layer.named_buffers():
                if name.endswith("running_mean"):
                    value.copy_(0.25 * torch.randn_like(value))
                elif name.endswith("running_var"):
                    value.copy_(0.25 + torch.rand_like(value))
        name = f"layer{self.count}"
        self.count += 1
        self.graph.add_module(name, layer)
        return name


def curve(function):
    """The operator of a function of one value."""

    def operator(d):
        a = d.pick()
        return d.add(lambda m, v: function(v[a]))

    return operator


def pair(function):
    """The operator of a function of two values of one shape."""

    def operator(d):
        a = d.pick()
        b = d.pick(like=a)
        return d.add(lambda m, v: function(v[a], v[b]))

    return operator


def activation(build):
    """The operator of a layer, in one or two places."""

    def operator(d):
        a, name = d.pick(), d.layer(build)
        b = d.add(lambda m, v: m[name](v[a]))
        return d.add(lambda m, v: m[name](0.5 * v[b] - 0.25)) if d.draw.random() < 0.3 else b

    return operator


def _wide(d):
    return d.draw.randint(2, 5)


def linear(d):
    a = d.pick(1)
    name = d.layer(lambda: nn.Linear(d.shape(a)[0], _wide(d), bias=d.draw.random() < 0.8))
    return d.add(lambda m, v: m[name](v[a]))


def linear_twice(d):
    a = d.pick(1)
    name = d.layer(lambda: nn.Linear(*d.shape(a) * 2))
    return d.add(lambda m, v: m[name](m[name](v[a]).relu() - v[a]))


def shared_weight(d):
    a = d.pick(1)
    n = d.shape(a)[0]
    w, b = d.weight(n, n), d.weight(n)
    return d.add(lambda m, v: F.linear(F.linear(v[a], m[w], m[b]).tanh(), m[w].t()) * m[b])


def matmul(d):
    a = d.pick()
    n = d.shape(a)[-1]
    w = d.any_weight(n, n)
    return d.add(lambda m, v: v[a] @ m[w])


def constant_matmul(d):
    a = d.pick(2)
    n = d.shape(a)[0]
    w = d.any_weight(2, n)
    return d.add(lambda m, v: m[w] @ v[a])


def batched_matmul(d):
    a = d.pick(2)
    n = d.shape(a)[1]
    w = d.any_weight(1, n, 2)
    return d.add(lambda m, v: torch.bmm(v[a], m[w].expand(v[a].shape[0], -1, -1)))


def product_of_values(d):
    a = d.pick(2)
    return d.add(lambda m, v: v[a] @ v[a].transpose(1, 2))


def quadratic_form(d):
    a = d.pick(1)
    n = d.shape(a)[0]
    w = d.any_weight(n, n)
    return d.add(lambda m, v: (v[a] @ m[w] * v[a]).sum(1, keepdim=True) - v[a])


def scaled_by_weight(d):
    a = d.pick()
    w = d.any_weight(*d.shape(a))
    return d.add(lambda m, v: m[w] * v[a] + m[w])


def constant_less(d):
    a = d.pick()
    w = d.any_weight(*d.shape(a)[-1:])
    return d.add(lambda m, v: m[w] - v[a])


def over_weight(d):
    a = d.pick()
    w = d.any_weight(*d.shape(a)[-1:])
    return d.add(lambda m, v: v[a] / (m[w].abs() + 0.5))


def weight_over(d):
    a = d.pick()
    w = d.any_weight(*d.shape(a)[-1:])
    return d.add(lambda m, v: m[w] / (v[a].square() + 0.5))


def reciprocal(d):
    a = d.pick()
    size = float(d.values[a].abs().max())
    c = 2.0 ** math.ceil(math.log2(2 * size + 0.25)) if math.isfinite(size) and size < 1e30 else 1.0
    return d.add(lambda m, v: c / (v[a] + c))


def maximum_with_weight(d):
    a = d.pick()
    w = d.any_weight(*d.shape(a)[-1:])
    return d.add(lambda m, v: torch.maximum(v[a], m[w]) - torch.minimum(m[w] / 2, v[a]))


def standardized(d):
    a = d.pick()
    mean, std = d.weight(*d.shape(a)[-1:], kind="buffer"), d.stored(0.5 + torch.rand(d.shape(a)[-1:]), "buffer")
    return d.add(lambda m, v: (v[a] - m[mean]) / m[std])


def layer_norm(d):
    a = d.pick()
    name = d.layer(lambda: nn.LayerNorm(d.shape(a)[-1:], eps=0.125))
    return d.add(lambda m, v: m[name](v[a]))


def batch_norm(d):
    a = d.pick(3)
    name = d.layer(lambda: nn.BatchNorm2d(d.shape(a)[0]))
    return d.add(lambda m, v: m[name](v[a]))


def batch_norm_1d(d):
    a = d.pick(1)
    name = d.layer(lambda: nn.BatchNorm1d(d.shape(a)[0]))
    return d.add(lambda m, v: m[name](v[a]))


def batch_norm_function(d):
    a = d.pick(3)
    n = d.shape(a)[0]
    mean, variance = d.weight(n, kind="buffer"), d.stored(0.5 + torch.rand(n), "buffer")
    w, b = d.weight(n), d.weight(n)
    return d.add(lambda m, v: F.batch_norm(v[a], m[mean], m[variance], m[w], m[b], eps=0.125))


def convolution(d):
    a = d.pick(3)
    channels, height, width = d.shape(a)
    k = (d.draw.randint(1, min(2, height)), d.draw.randint(1, min(3, width)))
    options = {
        "padding": d.draw.choice([0, 1]),
        "stride": d.draw.choice([1, 1, 2]),
        "dilation": d.draw.choice([1, 1, 2]),
    }
    if options["dilation"] == 2:
        options["padding"] = 2
    groups = channels if d.draw.random() < 0.3 else 1
    out = groups * d.draw.randint(1, 2)
    if d.draw.random() < 0.5:
        name = d.layer(lambda: nn.Conv2d(channels, out, k, groups=groups, **options))
        return d.add(lambda m, v: m[name](v[a]))
    w, b = d.weight(out, channels // groups, *k), d.weight(out)
    return d.add(lambda m, v: F.conv2d(v[a], m[w], m[b], groups=groups, **options))


def transposed_convolution(d):
    a = d.pick(3)
    channels = d.shape(a)[0]
    stride, padding, w = d.draw.choice([1, 2]), int(min(d.shape(a)[1:]) > 1), d.weight(channels, 1, 2, 2)
    return d.add(lambda m, v: F.conv_transpose2d(v[a], m[w], stride=stride, padding=padding)[:, :, :3, :3])


def convolution_1d(d):
    a = d.pick(2)
    channels = d.shape(a)[0]
    groups = channels if d.draw.random() < 0.3 else 1
    stride, w, b = d.draw.choice([1, 2]), d.weight(channels, channels // groups, 2), d.weight(channels)
    dilation = d.draw.choice([1, 2])
    return d.add(
        lambda m, v: F.conv1d(v[a], m[w], m[b], stride=stride, padding=dilation, dilation=dilation, groups=groups)
    )


def transposed_convolution_1d(d):
    a = d.pick(2)
    w = d.weight(d.shape(a)[0], 2, 2)
    return d.add(lambda m, v: F.conv_transpose1d(v[a], m[w])[..., :3])


def max_pool(d):
    a = d.pick(3)
    size = min(2, *d.shape(a)[1:])
    if d.draw.random() < 0.5:
        name = d.layer(lambda: nn.MaxPool2d(size, 1))
        return d.add(lambda m, v: m[name](v[a]))
    return d.add(lambda m, v: F.max_pool2d(v[a], size, stride=1, padding=size // 2))


def average_pool(d):
    a = d.pick(3)
    size = min(2, *d.shape(a)[1:])
    return d.add(lambda m, v: F.avg_pool2d(v[a], size, 1) * 2)


def average_of_image(d):
    a = d.pick(3)
    return d.add(lambda m, v: F.adaptive_avg_pool2d(v[a], 1) - v[a])


def padded(d):
    a = d.pick(3)
    return d.add(lambda m, v: F.pad(v[a], (1, 0, 0, 1), value=0.5)[:, :, :3, :3])


def permuted(d):
    a = d.pick(3)
    return d.add(lambda m, v: v[a].permute(0, 2, 3, 1).contiguous().transpose(2, 3))


def attention(d):
    """Self-attention, of the value itself or through matrices."""
    a = d.pick(2)
    n = d.shape(a)[1]
    if d.draw.random() < 0.5:
        return d.add(lambda m, v: torch.softmax(v[a] @ v[a].transpose(1, 2), dim=-1) @ v[a])
    q, k, w = d.weight(n, n), d.weight(n, n), d.weight(n, n)
    return d.add(
        lambda m, v: torch.softmax((v[a] @ m[q]) @ (v[a] @ m[k]).transpose(1, 2) / 2, dim=-1) @ (v[a] @ m[w]) + v[a]
    )


def attention_pooling(d):
    a = d.pick(2)
    w = d.weight(d.shape(a)[1], gain=2.0)
    return d.add(lambda m, v: (torch.softmax(v[a] @ m[w], dim=1).unsqueeze(-1) * v[a]).sum(1))


def gated_layer(d):
    a = d.pick(1)
    name = d.layer(lambda: nn.Linear(*d.shape(a) * 2))
    return d.add(lambda m, v: v[a] * torch.sigmoid(m[name](v[a])))


def highway(d):
    a = d.pick(1)
    h, t = (d.layer(lambda: nn.Linear(*d.shape(a) * 2)) for _ in range(2))

    def step(m, v):
        gate = torch.sigmoid(m[t](v[a]))
        return m[h](v[a]).tanh() * gate + v[a] * (1 - gate)

    return d.add(step)


def detached(d):
    a = d.pick()
    b = d.pick(like=a)
    return d.add(lambda m, v: v[a].tanh() + 2 * m.cut(v[b]))


def weight_norm(d):
    """Weights made from others in forward."""
    a = d.pick(1)
    g, w = d.weight(3, 1), d.weight(3, d.shape(a)[0])
    return d.add(lambda m, v: F.linear(v[a], m[g] * m[w] / m[w].square().sum(1, keepdim=True).sqrt()))


def tanh_of_weight(d):
    a = d.pick(1)
    w = d.any_weight(3, d.shape(a)[0])
    return d.add(lambda m, v: F.linear(v[a], torch.tanh(m[w]) * 2))


def weight_expanded(d):
    a = d.pick(1)
    w = d.any_weight(*d.shape(a))
    return d.add(lambda m, v: v[a] - m[w].expand(v[a].shape[0], -1))


def concatenated(d):
    a, b = d.pick(1), d.pick(1)
    return d.add(lambda m, v: torch.cat([v[a][:, :3], v[b][:, -2:] * 0.5], dim=1))


def vector(d):
    return d.reshaped(d.pick(), 1)


def rows(d):
    return d.reshaped(d.pick(), 2)


def image(d):
    return d.reshaped(d.pick(), 3)


# those below had no bounds


def einsum(d):
    a = d.pick(1)
    n = d.shape(a)[0]
    w = d.any_weight(n, n)
    if d.draw.random() < 0.5:
        return d.add(lambda m, v: torch.einsum("bi,ij->bj", v[a], m[w]))
    return d.add(lambda m, v: v[a] + torch.einsum("bi,ij,bj->b", v[a], m[w], v[a])[:, None])


def weight_norm_by_norm(d):
    a = d.pick(1)
    g, w = d.weight(3, 1), d.weight(3, d.shape(a)[0])
    return d.add(lambda m, v: F.linear(v[a], m[g] * m[w] / m[w].norm(dim=1, keepdim=True)))


def weight_norm_parametrized(d):
    a = d.pick(1)
    name = d.layer(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(d.shape(a)[0], 3)))
    return d.add(lambda m, v: m[name](v[a]))


def weight_norm_old(d):
    a = d.pick(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        name = d.layer(lambda: nn.utils.weight_norm(nn.Linear(d.shape(a)[0], 3)))
    return d.add(lambda m, v: m[name](v[a]))


def fused_attention(d):
    a = d.pick(2)
    return d.add(lambda m, v: F.scaled_dot_product_attention(v[a], v[a], v[a]))


def group_norm(d):
    a = d.pick(3)
    return d.add(lambda m, v: F.group_norm(v[a], 1, eps=0.125) if v[a][0].numel() > 1 else v[a])


def bilinear(d):
    a = d.pick(1)
    w = d.weight(2, *d.shape(a) * 2)
    return d.add(lambda m, v: F.bilinear(v[a], v[a], m[w]))


def max_pool_1d(d):
    a = d.pick(2)
    size = min(2, d.shape(a)[1])
    return d.add(lambda m, v: F.max_pool1d(v[a], size, 1))


def fused_linear(d):
    a = d.pick(1)
    n = d.shape(a)[0]
    w, b = d.weight(n, n), d.weight(n)
    return d.add(lambda m, v: torch.addmm(m[b], v[a], m[w], beta=0.5, alpha=2))


def outer(d):
    a = d.pick(1)
    return d.add(lambda m, v: torch.einsum("bi,bj->bij", v[a], v[a]))


def upsampled(d):
    a = d.pick(3)
    return d.add(lambda m, v: F.interpolate(v[a], scale_factor=2)[:, :, :3, :3])


def causal_attention(d):
    a = d.pick(2)
    name = d.layer(lambda: nn.Linear(d.shape(a)[1], d.shape(a)[1]))
    return d.add(lambda m, v: F.scaled_dot_product_attention(m[name](v[a]), v[a], v[a], is_causal=True))


def multihead_attention(d):
    a = d.pick(2)
    name = d.layer(lambda: nn.MultiheadAttention(d.shape(a)[1], 1, batch_first=True))
    return d.add(lambda m, v: m[name](v[a], v[a], v[a], need_weights=False)[0])


def recurrent(d):
    a = d.pick(2)
    kind = d.draw.choice([nn.LSTM, nn.GRU, nn.RNN])
    name = d.layer(lambda: kind(d.shape(a)[1], 2, batch_first=True))
    return d.add(lambda m, v: m[name](v[a])[0])


def instance_norm(d):
    a = d.pick(3)
    return d.add(lambda m, v: F.instance_norm(v[a], eps=0.125) if v[a].shape[2:].numel() > 1 else v[a])


def wide_max_pool(d):
    a = d.pick(3)
    # torch's gradient of a window that lies in the padding alone writes outside of its memory
    gap = 2 if min(d.shape(a)[1:]) > 1 else 1
    return d.add(lambda m, v: F.max_pool2d(v[a], 2, stride=1, padding=1, dilation=gap))


def adaptive_max_pool(d):
    a = d.pick(3)
    return d.add(lambda m, v: F.adaptive_max_pool2d(v[a], 1))


def interpolated(d):
    a = d.pick(3)
    mode = d.draw.choice(["bilinear", "bicubic"])
    return d.add(lambda m, v: F.interpolate(v[a], size=(2, 2), mode=mode))


def replicated(d):
    a = d.pick(3)
    mode = d.draw.choice(["replicate", "circular"])
    return d.add(lambda m, v: F.pad(v[a], (1, 0, 0, 1), mode=mode)[:, :, :3, :3])


def folded(d):
    a = d.pick(3)
    size = d.shape(a)[1:]
    return d.add(lambda m, v: F.fold(F.unfold(v[a], 1).relu(), size, 1))


WEIGHTED = [
    linear,
    linear_twice,
    shared_weight,
    matmul,
    constant_matmul,
    batched_matmul,
    product_of_values,
    quadratic_form,
    scaled_by_weight,
    constant_less,
    over_weight,
    weight_over,
    reciprocal,
    maximum_with_weight,
    standardized,
    layer_norm,
    batch_norm,
    batch_norm_1d,
    batch_norm_function,
    convolution,
    transposed_convolution,
    convolution_1d,
    transposed_convolution_1d,
    max_pool,
    average_pool,
    average_of_image,
    padded,
    permuted,
    attention,
    attention_pooling,
    gated_layer,
    highway,
    detached,
    weight_norm,
    tanh_of_weight,
    weight_expanded,
    concatenated,
    vector,
    rows,
    image,
]
OTHER_WEIGHTED = [
    einsum,
    weight_norm_by_norm,
    weight_norm_parametrized,
    weight_norm_old,
    fused_attention,
    group_norm,
    bilinear,
    max_pool_1d,
    fused_linear,
    outer,
    upsampled,
    causal_attention,
    multihead_attention,
    recurrent,
    instance_norm,
    wide_max_pool,
    adaptive_max_pool,
    interpolated,
    replicated,
    folded,
]


def _table(activations, curves, pairs, weighted):
    found = {f"layer {name}": activation(build) for name, build in activations.items()}
    found |= {name: curve(function) for name, function in curves.items()}
    found |= {f"pair {name}": pair(function) for name, function in pairs.items()}
    return found | {operator.__name__: operator for operator in weighted}


OPERATORS = _table(ACTIVATIONS, CURVES, PAIRS, WEIGHTED)
OTHERS = _table({}, OTHER_CURVES, {}, OTHER_WEIGHTED)
ALL = OPERATORS | OTHERS


def head(d):
    """Two or three logits: a layer over two values, or sums of their parts against a constant."""
    last = len(d.values) - 1
    a, b = d.tamed(last), d.pick()
    kind = d.draw.random()
    if kind < 0.6:
        sizes = d.values[a][0].numel() + d.values[b][0].numel()
        name = d.layer(lambda: nn.Linear(sizes, 3))
        return d.add(lambda m, v: m[name](torch.cat([v[a].flatten(1), v[b].flatten(1)], dim=1)))
    middle = float(d.values[a].flatten(1).sum(1)[0])
    # a constant near the value, so that a logit is passed soon
    level = 0.0 if not math.isfinite(middle) or middle == 0 else 2.0 ** round(math.log2(abs(middle)))
    if kind < 0.8:
        return d.add(
            lambda m, v: torch.cat([level - v[a].flatten(1).sum(1, keepdim=True), 0 * v[b].flatten(1)[:, :1]], 1)
        )
    return d.add(
        lambda m, v: torch.stack(
            [v[a].flatten(1).sum(1), v[b].flatten(1).mean(1) + level, v[a].flatten(1)[:, 0] - v[b].flatten(1)[:, -1]],
            dim=1,
        )
    )


SHAPES = [(2,), (3,), (4,), (2, 2), (3, 2), (1, 2, 2), (2, 2, 2), (1, 3, 2)]


def graph(seed, draw, x, names):
    """The graph that these operators make one after the other for inputs like ``x``, and nothing else than ``draw`` decides."""
    torch.manual_seed(seed)
    d = Draft(draw, x)
    for name in names:
        d.names.append(name)
        ALL[name](d)
        size = d.values[-1][0].numel()
        if size > 24:
            last, layer = d.reshaped(len(d.values) - 1, 1), d.layer(lambda size=size: nn.Linear(size, 4))
            d.add(lambda m, v, last=last, layer=layer: m[layer](v[last]))
    head(d)
    return d.graph.eval()


@torch.no_grad()
def out_of_scale(graph, draw, decades):
    """Weights times powers of ten, up in one place and down in the next, or all alike."""
    weights = [value for value in graph.parameters() if value.ndim > 1]
    power = 10.0 ** draw.randint(1, decades)
    factors = (
        [power, 1 / power] * len(weights) if draw.random() < 0.6 else [draw.choice([power, 1 / power])] * len(weights)
    )
    for value, factor in zip(weights, factors, strict=False):
        value.mul_(factor)


@torch.no_grad()
def converted(module, dtype):
    """The module with everything it holds in another type, plain tensors as well."""
    module.to(dtype)
    for part in module.modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                setattr(part, name, value.detach().to(dtype))
    return module
