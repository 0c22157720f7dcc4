"""Small random networks of every activation with a rule, and their values in exact arithmetic: for the checks of rounding.

Exact means 300 bits by mpmath, of the stored weights. Numbers in the text of a network (slopes, thresholds, what is added to a
variance) are dyadic fractions, so that they are the same in every type. Affine layers are lists of places and weights, one
list for an output, which other checks add up in any order.
"""

import copy
import math
import random
from functools import partial

import attrs
import mpmath
import numpy as np
import torch
from mpmath import mpf
from torch import nn

from inradius import Property

mpmath.mp.prec = 300
DTYPES = {16: torch.float16, 32: torch.float32, 64: torch.float64}


# layers


class Skip(nn.Module):
    """z + body(z)."""

    def __init__(self, *body):
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, z):
        return z + self.body(z)


class Curve(nn.Module):
    """One of the functions that networks write without a layer."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, z):
        return FUNCTIONS[self.name][0](z)


def _sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def _shares(values):
    powers = [mpmath.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


# as torch computes it, and exactly
FUNCTIONS = {
    "exp": (lambda z: torch.exp(-z.abs()), lambda z: mpmath.exp(-abs(z))),
    "square": (lambda z: z * z, lambda z: z * z),
    "reciprocal": (lambda z: 1 / (z * z + 0.5), lambda z: 1 / (z * z + mpf(0.5))),
    "root": (lambda z: (z * z + 0.25).sqrt(), lambda z: mpmath.sqrt(z * z + mpf(0.25))),
    "gate": (lambda z: z * torch.sigmoid(z + 0.5), lambda z: z * _sigmoid(z + mpf(0.5))),
    "abs": (torch.abs, abs),
    "clamp": (lambda z: z.clamp(-0.5, 0.75), lambda z: min(max(z, mpf(-0.5)), mpf(0.75))),
}


def _gelu(module, z):
    if module.approximate == "tanh":
        return z / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (z + mpf("0.044715") * z**3)))
    return z / 2 * (1 + mpmath.erf(z / mpmath.sqrt(2)))


def _softplus(module, z):
    beta = mpf(module.beta)
    return z if beta * z > module.threshold else mpmath.log(1 + mpmath.exp(beta * z)) / beta


ELEMENTWISE = {
    nn.ReLU: lambda m, z: max(z, mpf(0)),
    nn.LeakyReLU: lambda m, z: z if z > 0 else mpf(m.negative_slope) * z,
    nn.Hardtanh: lambda m, z: min(max(z, mpf(m.min_val)), mpf(m.max_val)),
    nn.ReLU6: lambda m, z: min(max(z, mpf(0)), mpf(6)),
    nn.ELU: lambda m, z: z if z > 0 else mpf(m.alpha) * mpmath.expm1(z),
    nn.CELU: lambda m, z: z if z > 0 else mpf(m.alpha) * mpmath.expm1(z / mpf(m.alpha)),
    nn.Sigmoid: lambda m, z: _sigmoid(z),
    nn.Tanh: lambda m, z: mpmath.tanh(z),
    nn.Softplus: _softplus,
    nn.GELU: _gelu,
    nn.SiLU: lambda m, z: z * _sigmoid(z),
    nn.Identity: lambda m, z: z,
    Curve: lambda m, z: FUNCTIONS[m.name][1](z),
}

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.125),
    "hardtanh": partial(nn.Hardtanh, -0.5, 1.5),
    "relu6": nn.ReLU6,
    "elu": partial(nn.ELU, 0.75),
    "celu": partial(nn.CELU, 0.5),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": partial(nn.Softplus, 2.0, 8.0),
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
    "silu": nn.SiLU,
    **{name: partial(Curve, name) for name in FUNCTIONS},
    "softmax": partial(nn.Softmax, dim=-1),
}
# straight pieces, which numbers of any size pass
HOMOGENEOUS = ("relu", "leaky_relu", "abs")


# exact values


@attrs.frozen(eq=False)
class Table:
    """An affine layer's outputs as sums over few places: index (N, k), weight (N, k), zero where unused, bias (N,)."""

    index: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    shape: tuple[int, ...]

    @classmethod
    def of(cls, module, shape):
        """The table of a layer for one example of this shape; its weights are the layer's, bit for bit."""
        matrix, out = _matrix(module, shape)
        used = max(1, int((matrix != 0).sum(1).max()))
        # a stable sort, so that the places keep their order
        index = (matrix != 0).to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :used]
        bias = getattr(module, "bias", None)
        bias = torch.zeros(1, dtype=matrix.dtype) if bias is None else bias.detach()
        bias = bias.repeat_interleave(len(matrix) // len(bias))
        dtype = getattr(module, "weight", matrix).dtype
        return cls(index, matrix.gather(1, index).to(dtype), bias.to(dtype), out)


def _matrix(module, shape):
    """A layer's linear part in float64, (out, in), and the shape of its output: unit inputs meet one weight each."""
    if isinstance(module, nn.Linear):
        return module.weight.detach().double(), (*shape[:-1], module.out_features)
    size = math.prod(shape)
    units = torch.eye(size, dtype=torch.float64).view(size, *shape)
    with torch.no_grad():
        if isinstance(module, nn.Conv2d):
            weight = module.weight.double()
            columns = nn.functional.conv2d(
                units, weight, None, module.stride, module.padding, module.dilation, module.groups
            )
        else:
            columns = module(units)
    return columns.flatten(1).t().contiguous(), tuple(columns.shape[1:])


AFFINE = (nn.Linear, nn.Conv2d, nn.AvgPool2d)


def channel_scale(module):
    """Batch norm's factor, 1 / √(variance + eps) times the weight, and mean and shift, exactly, a list of triples."""
    numbers = (module.weight, module.running_var, module.running_mean, module.bias)
    rows = zip(*(value.detach().double().tolist() for value in numbers), strict=True)
    return [(mpf(w) / mpmath.sqrt(mpf(var) + mpf(module.eps)), mpf(mean), mpf(b)) for w, var, mean, b in rows]


class Exact:
    """A network in exact arithmetic, on one example as an array of mpf."""

    def __init__(self, model):
        self.model, self._rows = model, {}

    def __call__(self, z):
        return self._value(self.model, z)

    def _value(self, module, z):
        if isinstance(module, nn.Sequential):
            for part in module:
                z = self._value(part, z)
            return z
        if isinstance(module, Skip):
            return z + self._value(module.body, z)
        if isinstance(module, AFFINE):
            return self._affine(module, z)
        if type(module) in ELEMENTWISE:
            rule = ELEMENTWISE[type(module)]
            return np.array([rule(module, value) for value in z.ravel()], dtype=object).reshape(z.shape)
        return OTHERS[type(module)](module, z)

    def _affine(self, module, z):
        if module not in self._rows:
            self._rows[module] = _exact_rows(Table.of(module, z.shape))
        rows, shape = self._rows[module]
        flat = z.ravel()
        return np.array(
            [mpmath.fdot((weight, flat[place]) for place, weight in row) + bias for row, bias in rows], dtype=object
        ).reshape(shape)


def _exact_rows(table):
    rows = []
    lists = (table.index.tolist(), table.weight.double().tolist(), table.bias.double().tolist())
    for index, weight, bias in zip(*lists, strict=True):
        rows.append(([(i, mpf(w)) for i, w in zip(index, weight, strict=True) if w], mpf(bias)))
    return rows, table.shape


def _batch_norm(module, z):
    parts = [(part - mean) * scale + b for part, (scale, mean, b) in zip(z, channel_scale(module), strict=True)]
    return np.array(parts, dtype=object)


def _max_pool(module, z):
    k, s = module.kernel_size, module.stride
    high, wide = ((length - k) // s + 1 for length in z.shape[1:])
    found = [
        [[max(c[i * s : i * s + k, j * s : j * s + k].ravel()) for j in range(wide)] for i in range(high)] for c in z
    ]
    return np.array(found, dtype=object)


def _layer_norm(module, z):
    mean = sum(z) / len(z)
    variance = sum((value - mean) ** 2 for value in z) / len(z)
    normal = (z - mean) / mpmath.sqrt(variance + mpf(module.eps))
    return normal * exact_array(module.weight) + exact_array(module.bias)


OTHERS = {
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.MaxPool2d: _max_pool,
    nn.LayerNorm: _layer_norm,
    nn.Softmax: lambda module, z: np.array(_shares(list(z)), dtype=object),
    nn.Flatten: lambda module, z: z.ravel(),
}


def exact_array(values):
    """A tensor's numbers as they are, an array of mpf."""
    found = [mpf(value) for value in values.detach().double().flatten().tolist()]
    return np.array(found, dtype=object).reshape(values.shape)


def exact_rows(weights, outputs):
    """The rows weights (K, O) of outputs (O,), a list of mpf."""
    return [mpmath.fdot(zip(row, outputs.ravel(), strict=True)) for row in exact_array(weights)]


# random networks


@attrs.frozen(eq=False)
class Drawn:
    """A network in its type, the same stored weights in float64, one input (1, *S) and what it is made of."""

    name: str
    depth: int
    model: nn.Module
    wide: nn.Module
    x: torch.Tensor
    draw: random.Random

    def __str__(self):
        return f"{self.depth} layers, {self.name}"

    @property
    def bits(self):
        return torch.finfo(self.x.dtype).bits


def drawn(seed, *, bits=None, depth=None, largest=8):
    """The network of a seed: a chain, a residual one or a convolutional one, of 2 to 40 layers, or one of all scales."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    if bits is depth is None and draw.random() < 0.12:
        return extreme(seed, draw)
    bits = bits or draw.choice([16, 32, 32, 64])
    depth = depth or draw.choice([2, 3, 4, 6, 8, 12, 20, 40])
    if depth <= 4 and draw.random() < 0.3:
        largest *= 8
    build, shape = draw.choices([_chain, _residual, _convolutional], [4, 3, 3])[0], (draw.randint(2, largest),)
    if build is _convolutional:
        depth, shape = min(depth, 6), (2, 4, 4)
    kind = draw.choice([*ACTIVATIONS, "relu", "relu", "mixed"])
    model = _weighted(nn.Sequential(*build(shape, depth, kind, draw, largest)), draw)
    scale = 1.0
    if kind in HOMOGENEOUS and bits > 16 and draw.random() < 0.4:
        scale = _out_of_scale(model, draw, 12 if bits == 32 else 60)
    x = (scale * torch.rand(1, *shape, dtype=torch.float64)).to(DTYPES[bits])
    model = model.to(DTYPES[bits]).eval()
    wide = _copy(model)
    with torch.no_grad():
        if not (model(x).isfinite().all() and wide(x.double()).isfinite().all()):
            return drawn(seed + 1_000_003, bits=bits, depth=depth, largest=largest)
    return Drawn(f"{build.__name__[1:]} {kind}", depth, model, wide, x, draw)


@torch.no_grad()
def extreme(seed, draw):
    """Four layers that leave the range of their type on the way forward or backward, with outputs of moderate size."""
    bits, width, pointwise = draw.choice([32, 32, 64]), draw.choice([1, 1, 2, 3]), draw.random() < 0.4
    power = draw.choice([15, 19, 23] if bits == 32 else [120, 150, 170])
    signs = draw.choice(
        [[1, 1, -1, -1], [-1, -1, 1, 1], [1, -1, 1, -1], [-1, 1, -1, 1], [1, -1, -1, 1], [-1, 1, 1, -1]]
    )
    layers = []
    for place, sign in enumerate(signs):
        shape = (width, 1 if place == 3 else width)
        layer = (nn.Conv2d(*shape, 1) if pointwise else nn.Linear(*shape)).double()
        layer.weight.copy_(10.0 ** (sign * power) * draw.choice([torch.randn_like, torch.rand_like])(layer.weight))
        # a bias behind the last layer alone, of the size of the output or much smaller
        layer.bias.mul_(draw.choice([0, 1, 1e-6]) if place == 3 else 0)
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1], nn.Flatten()).to(DTYPES[bits]).eval()
    x = torch.rand(1, width, *((1, 1) if pointwise else ()), dtype=torch.float64).to(DTYPES[bits])
    if not (model(x).isfinite().all() and _copy(model)(x.double()).isfinite().all()):
        return extreme(seed + 1_000_003, random.Random(seed + 1_000_003))
    return Drawn("extreme relu", 4, model, _copy(model), x, draw)


def _copy(model):
    """The model with the same stored weights in float64."""
    return copy.deepcopy(model).double()


def _activation(kind, draw):
    return ACTIVATIONS[draw.choice(list(ACTIVATIONS)) if kind == "mixed" else kind]()


def _chain(shape, depth, kind, draw, largest):
    size, layers = shape[0], [nn.Flatten()]
    for _ in range(depth - 1):
        wide = draw.randint(2, largest)
        layers += [nn.Linear(size, wide, bias=draw.random() < 0.8)]
        layers += [nn.BatchNorm1d(wide, eps=2**-10)] if draw.random() < 0.2 else []
        layers += [_activation(kind, draw)]
        layers += [nn.LayerNorm(wide, eps=0.125)] if draw.random() < 0.05 else []
        size = wide
    return [*layers, nn.Linear(size, 3)]


def _residual(shape, depth, kind, draw, largest):
    size = draw.randint(2, largest)
    layers = [nn.Flatten(), nn.Linear(shape[0], size)]
    for _ in range(max(1, (depth - 2) // 2)):
        inner = draw.randint(2, largest)
        layers.append(Skip(nn.Linear(size, inner), _activation(kind, draw), nn.Linear(inner, size)))
    return [*layers, _activation(kind, draw), nn.Linear(size, 3)]


def _convolutional(shape, depth, kind, draw, largest):
    kind = kind if kind != "softmax" else "relu"
    channels, layers = shape[0], []
    for _ in range(max(1, depth - 1)):
        wide = draw.randint(1, 3)
        layers += [nn.Conv2d(channels, wide, 3, 1, 1, bias=draw.random() < 0.8)]
        layers += [nn.BatchNorm2d(wide, eps=2**-10)] if draw.random() < 0.5 else []
        layers += [_activation(kind if kind != "mixed" else draw.choice(["relu", "tanh", "gelu", "elu"]), draw)]
        channels = wide
    pool = draw.choice([None, nn.AvgPool2d(2, 2), nn.MaxPool2d(2, 2)])
    layers += [] if pool is None else [pool]
    return [*layers, nn.Flatten(), nn.Linear(channels * (16 if pool is None else 4), 3)]


@torch.no_grad()
def _weighted(model, draw):
    """The model in float64 with weights that neither vanish nor grow, and statistics that are not the identity's."""
    model, gain, alike = model.double(), draw.choice([1.0, 2.0]), draw.random() < 0.15
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            # equal weights, whose roundings do not cancel, or random ones
            weight = torch.full_like(layer.weight, 0.7) if alike else torch.randn_like(layer.weight)
            layer.weight.copy_((gain / layer.weight[0].numel()) ** (1.0 if alike else 0.5) * weight)
            if layer.bias is not None:
                layer.bias.copy_(0.25 * torch.randn_like(layer.bias))
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm):
            layer.weight.copy_(1 + 0.25 * torch.randn_like(layer.weight))
            layer.bias.copy_(0.25 * torch.randn_like(layer.bias))
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.copy_(0.25 * torch.randn_like(layer.running_mean))
            layer.running_var.copy_(0.25 + torch.rand_like(layer.running_var))
    return model


@torch.no_grad()
def _out_of_scale(model, draw, decades):
    """Weights times powers of ten, up in one layer and down in the next, biases as well; the scale of the input."""
    affine = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    power = 10.0 ** draw.randint(1, decades)
    scale = first = draw.choice([power, 1 / power])
    for place, layer in enumerate(affine):
        factor = 1 / first if place % 2 == 0 else first
        scale = scale * factor
        layer.weight.mul_(factor)
        if layer.bias is not None:
            layer.bias.mul_(scale)
    return first


# members of tiny sets


SIZES = (0.0, 0.0, 0.0, 2.0**-40, 2.0**-24, 2.0**-16, 2.0**-10)
NORMS = ("linf", "linf", "l2", "l1")


def downhill(model, x, weights):
    """The gradients of rows at one input, float64, a list of (*S)."""
    x = x.double().requires_grad_()
    values = (weights.double() @ model(x)[0]).unbind()
    return [torch.autograd.grad(value, x, retain_graph=True)[0][0].nan_to_num() for value in values]


def members(name, eps, x, gradients):
    """Points of the ball around x (1, *S) without a box: the centre, and for each row its worst by the gradient; exact."""
    centre = exact_array(x[0])
    points = [centre]
    for gradient in gradients if eps else []:
        points.append(centre + _worst(name, mpf(eps), exact_array(gradient)))
    return points


def _worst(name, eps, gradient):
    if name == "linf":
        return np.array([-eps * mpmath.sign(g) for g in gradient.ravel()], dtype=object).reshape(gradient.shape)
    if name == "l2":
        length = mpmath.sqrt(mpmath.fsum(g * g for g in gradient.ravel()))
        # shorter by far less than any rounding, so that the point is a member
        return -gradient * (eps / length * (1 - mpf(2) ** -200)) if length else 0 * gradient
    flat = gradient.ravel()
    place = max(range(len(flat)), key=lambda i: abs(flat[i]))
    step = np.array([mpf(0)] * len(flat), dtype=object)
    step[place] = -eps * mpmath.sign(flat[place])
    return step.reshape(gradient.shape)


def rows_of(draw, outputs):
    """The weights of two rows, small whole numbers, (2, O)."""
    choices = [[draw.choice([-2, -1, 0, 1, 2]) for _ in range(outputs)] for _ in range(2)]
    return torch.tensor([row if any(row) else [1, *row[1:]] for row in choices], dtype=torch.float64)


def with_offsets(weights, offsets):
    """The property of all pairs of a row and one of its offsets; offsets (K, J) as float64."""
    repeated = weights.repeat_interleave(offsets.shape[1], 0)
    return Property(repeated, offsets.flatten())


def rounded_down(value):
    """The largest double that is not above an mpf."""
    nearest = float(value)
    return nearest if mpf(nearest) <= value else math.nextafter(nearest, -math.inf)
