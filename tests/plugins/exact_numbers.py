"""A model run in exact arithmetic, or in an arithmetic that rounds each result as a floating-point type does.

``run(model, x)`` calls the model itself with ``Numbers`` in the place of a tensor, which answers torch's functions by
fractions. What has no fraction, an exponential or a root, is computed to 60 digits.
"""

import itertools
import math
import random
from fractions import Fraction
from functools import partial

import attrs
import mpmath
import numpy as np
import torch

mpmath.mp.prec = 220


@attrs.frozen
class Exact:
    """No result is rounded."""

    def result(self, value):
        """The result of one operation."""
        return value

    def total(self, products, start=None):
        """A sum of products, pairs of factors."""
        found = sum((first * second for first, second in products), Fraction(0))
        return found if start is None else found + start

    def elementary(self, value):
        """The result of an elementary function."""
        return value


@attrs.frozen(eq=False)
class Rounded:
    """Each result is the nearest number of a type; sums are added up in one of many orders.

    order: "forth", "back", "pairs" or "shuffled", with products rounded before ("fused": not); flush: whether what is smaller
    than the smallest normal number becomes 0, as operand and as result; ulps: how far elementary functions are moved, at random.
    """

    dtype: torch.dtype
    order: str = "forth"
    fused: bool = False
    flush: bool = False
    ulps: float = 0.0
    seed: int = 0
    _random: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self):
        object.__setattr__(self, "_random", random.Random(self.seed))

    def result(self, value):
        """The nearest number of the type; an overflow is an infinity."""
        return nearest(value, self.dtype, flush=self.flush)

    def elementary(self, value):
        """A number within so many units in the last place."""
        if not self.ulps or isinstance(value, float):
            return self.result(value)
        unit = Fraction(torch.finfo(self.dtype).eps) * abs(value)
        return self.result(value + Fraction(self._random.uniform(-self.ulps, self.ulps)) * unit)

    def total(self, products, start=None):
        """The sum in this arithmetic's order."""
        pairs = [(self._read(first), self._read(second)) for first, second in products]
        if self.order == "back":
            pairs = pairs[::-1]
        elif self.order == "shuffled":
            self._random.shuffle(pairs)
        if self.order == "pairs":
            found = self._halved([self.result(first * second) for first, second in pairs])
        elif self.fused:
            found = Fraction(0)
            for first, second in pairs:
                found = self.result(found + first * second)
        else:
            found = None
            for first, second in pairs:
                product = self.result(first * second)
                found = product if found is None else self.result(found + product)
            found = Fraction(0) if found is None else found
        return found if start is None else self.result(found + self._read(start))

    def _read(self, value):
        return self.result(value) if self.flush else value

    def _halved(self, values):
        while len(values) > 1:
            pairs = [self.result(sum(values[place : place + 2])) for place in range(0, len(values), 2)]
            values = pairs
        return values[0] if values else Fraction(0)


def nearest(value, dtype, *, flush=False):
    """The nearest number of a floating-point type, ties to even; an infinity beyond its range."""
    if isinstance(value, float) or value == 0:
        return value
    info = torch.finfo(dtype)
    digits, lowest = -int(math.log2(info.eps)) + 1, int(math.log2(info.smallest_normal))
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    step = Fraction(2) ** (max(exponent, lowest) - digits + 1)
    found = round(size / step) * step
    if found > Fraction(info.max):
        return math.copysign(math.inf, value)
    if flush and found < Fraction(info.smallest_normal):
        return Fraction(0)
    return found if value > 0 else -found


@attrs.frozen(eq=False)
class Numbers:
    """Fractions in the place of a tensor, with the arithmetic that they are computed in."""

    values: np.ndarray
    arithmetic: Exact | Rounded = Exact()

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", str(function))
        if name not in _FUNCTIONS:
            raise NotImplementedError(f"no exact arithmetic is known for {name}")
        return _FUNCTIONS[name](*args, **(kwargs or {}))

    @property
    def shape(self):
        return torch.Size(self.values.shape)

    @property
    def ndim(self):
        return self.values.ndim

    def dim(self):
        return self.values.ndim

    def size(self, axis=None):
        return self.shape if axis is None else self.shape[axis]

    def __len__(self):
        return len(self.values)

    def like(self, values):
        """Other numbers in the same arithmetic."""
        return Numbers(np.asarray(values, dtype=object), self.arithmetic)

    def each(self, function):
        """A function of each number."""
        found = np.empty(self.values.shape, dtype=object)
        for place in np.ndindex(*self.values.shape):
            found[place] = function(self.values[place])
        return self.like(found)

    def __getitem__(self, key):
        keys = key if isinstance(key, tuple) else (key,)
        return self.like(self.values[tuple(each.numpy() if isinstance(each, torch.Tensor) else each for each in keys)])

    def _pairwise(self, other, function):
        first, second = np.broadcast_arrays(self.values, numbers(other))
        found = np.empty(first.shape, dtype=object)
        for place in np.ndindex(*first.shape):
            found[place] = self.arithmetic.result(function(first[place], second[place]))
        return self.like(found)

    def __add__(self, other):
        return self._pairwise(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self._pairwise(other, lambda a, b: a - b)

    def __rsub__(self, other):
        return self._pairwise(other, lambda a, b: b - a)

    def __mul__(self, other):
        return self._pairwise(other, lambda a, b: a * b)

    def __truediv__(self, other):
        return self._pairwise(other, lambda a, b: a / b)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return self.each(lambda z: -z)

    def __matmul__(self, other):
        return linear(self, other.t())

    def relu(self):
        return relu(self)

    def abs(self):
        return self.each(abs)

    def flip(self, *axes):
        return self.like(np.flip(self.values, axes))

    def square(self):
        return self.each(lambda z: self.arithmetic.elementary(z * z))

    def flatten(self, start=0, end=-1):
        end = end % self.ndim
        shape = (*self.values.shape[:start], -1, *self.values.shape[end + 1 :])
        return self.like(self.values.reshape(shape))

    def reshape(self, *shape):
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return self.like(self.values.reshape(shape))

    view = reshape

    def sum(self, axis, keepdim=False):
        return self._summed(axis, keepdim, lambda values: values)

    def mean(self, axis, keepdim=False):
        count = math.prod(self.values.shape[a] for a in _axes(axis))
        return self._summed(axis, keepdim, lambda value: self.arithmetic.result(value / count))

    def _summed(self, axis, keepdim, after):
        axes = _axes(axis)
        found = np.apply_over_axes(lambda values, _: values, self.values, ())
        kept = [a for a in range(self.ndim) if a % self.ndim not in [b % self.ndim for b in axes]]
        moved = np.moveaxis(found, kept, range(len(kept))).reshape(*(found.shape[a] for a in kept), -1)
        result = np.empty(moved.shape[:-1], dtype=object)
        for place in np.ndindex(*result.shape):
            result[place] = after(self.arithmetic.total([(value, Fraction(1)) for value in moved[place]]))
        if keepdim:
            result = result.reshape([1 if a not in kept else found.shape[a] for a in range(self.ndim)])
        return self.like(result)


def _axes(axis):
    return (axis,) if isinstance(axis, int) else tuple(axis)


def numbers(given):
    """The fractions of a tensor, of numbers or of a plain number."""
    if isinstance(given, Numbers):
        return given.values
    if isinstance(given, np.ndarray):
        return given
    if isinstance(given, torch.Tensor):
        values = given.detach().double().numpy()
        found = np.empty(values.shape, dtype=object)
        for place in np.ndindex(*values.shape):
            found[place] = Fraction(float(values[place]))
        return found
    found = np.empty((), dtype=object)
    found[()] = Fraction(given)
    return found


def run(model, x, arithmetic=None):
    """The model's outputs at inputs of fractions (1, *S), in exact arithmetic or in another one, as a list."""
    arithmetic = Exact() if arithmetic is None else arithmetic
    return list(model(Numbers(numbers(x), arithmetic)).values.flatten())


# functions


def linear(z, weight, bias=None):
    weight, bias = numbers(weight), None if bias is None else numbers(bias)
    rows = z.values.reshape(-1, z.values.shape[-1])
    found = np.empty((len(rows), len(weight)), dtype=object)
    for row, out in np.ndindex(*found.shape):
        products = list(zip(weight[out], rows[row], strict=True))
        found[row, out] = z.arithmetic.total(products, None if bias is None else bias[out])
    return z.like(found.reshape(*z.values.shape[:-1], len(weight)))


def conv2d(z, weight, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    weight, bias = numbers(weight), None if bias is None else numbers(bias)
    (sy, sx), (py, px), (dy, dx) = (_pair(each) for each in (stride, padding, dilation))
    batch, _, height, width = z.values.shape
    filters, depth, tall, wide = weight.shape
    rows = (height + 2 * py - dy * (tall - 1) - 1) // sy + 1
    columns = (width + 2 * px - dx * (wide - 1) - 1) // sx + 1
    found = np.empty((batch, filters, rows, columns), dtype=object)
    for n, f, a, b in np.ndindex(*found.shape):
        first = f // (filters // groups) * depth
        products = [
            (weight[f, c, i, j], z.values[n, first + c, a * sy - py + i * dy, b * sx - px + j * dx])
            for c, i, j in itertools.product(range(depth), range(tall), range(wide))
            if 0 <= a * sy - py + i * dy < height and 0 <= b * sx - px + j * dx < width
        ]
        found[n, f, a, b] = z.arithmetic.total(products, None if bias is None else bias[f])
    return z.like(found)


def batch_norm(z, mean, variance, weight, bias, training=False, momentum=0.0, eps=1e-5, *_):
    assert not training
    count = z.values.shape[1]
    mean, variance = numbers(mean), numbers(variance)
    weight = np.full(count, Fraction(1)) if weight is None else numbers(weight)
    bias = np.full(count, Fraction(0)) if bias is None else numbers(bias)
    fl = z.arithmetic.result
    found = np.empty(z.values.shape, dtype=object)
    for place in np.ndindex(*found.shape):
        c = place[1]
        factor = fl(fl(1 / fl(root(fl(variance[c] + Fraction(eps))))) * weight[c])
        shift = fl(bias[c] - fl(mean[c] * factor))
        found[place] = fl(fl(z.values[place] * factor) + shift)
    return z.like(found)


def relu(z, inplace=False):
    return z.each(lambda each: max(each, Fraction(0)))


def leaky_relu(z, negative_slope=0.01, inplace=False):
    fl = z.arithmetic.result
    return z.each(lambda each: each if each >= 0 else fl(Fraction(negative_slope) * each))


def hardtanh(z, min_val=-1.0, max_val=1.0, inplace=False):
    return z.each(lambda each: min(max(each, Fraction(min_val)), Fraction(max_val)))


def clamp(z, min=None, max=None):  # noqa: A002
    if min is not None:
        z = z.each(lambda each: each if each > Fraction(min) else Fraction(min))
    return z if max is None else z.each(lambda each: each if each < Fraction(max) else Fraction(max))


def _curve(function):
    return lambda z, *_, **__: z.each(lambda each: z.arithmetic.elementary(function(each)))


def _pair(given):
    return (given, given) if isinstance(given, int) else tuple(given)


def _pooled(best):
    def pool(z, kernel_size, stride=None, padding=0, *_, **__):
        (ky, kx), (sy, sx), (py, px) = _pair(kernel_size), _pair(stride or kernel_size), _pair(padding)
        batch, channels, height, width = z.values.shape
        shape = (batch, channels, (height + 2 * py - ky) // sy + 1, (width + 2 * px - kx) // sx + 1)
        found = np.empty(shape, dtype=object)
        for n, c, a, b in np.ndindex(*shape):
            window = [
                z.values[n, c, a * sy - py + i, b * sx - px + j]
                for i, j in itertools.product(range(ky), range(kx))
                if 0 <= a * sy - py + i < height and 0 <= b * sx - px + j < width
            ]
            found[n, c, a, b] = best(z.arithmetic, window, ky * kx)
        return z.like(found)

    return pool


def _mean(arithmetic, window, count):
    return arithmetic.result(arithmetic.total([(each, Fraction(1)) for each in window]) / count)


def cat(parts, dim=0):
    parts = list(parts)
    return parts[0].like(np.concatenate([numbers(part) for part in parts], axis=dim))


def fraction(value):
    """A number of mpmath as a fraction."""
    sign, mantissa, exponent, _ = value._mpf_
    return (-1 if sign else 1) * Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def precise(value):
    """A fraction as a number of mpmath."""
    return mpmath.mpf(value.numerator) / value.denominator


def root(value):
    return fraction(mpmath.sqrt(precise(value)))


def _transcendental(function):
    return _curve(lambda value: fraction(function(precise(value))))


_max_pool = _pooled(lambda arithmetic, window, count: max(window))
_FUNCTIONS = {
    "linear": linear,
    "conv2d": conv2d,
    "batch_norm": batch_norm,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "hardtanh": hardtanh,
    "clamp": clamp,
    "max_pool2d": _max_pool,
    "boolean_dispatch.<locals>.fn": _max_pool,
    "_max_pool2d": _max_pool,
    "fn": _max_pool,
    "avg_pool2d": _pooled(_mean),
    "cat": cat,
    "flatten": lambda z, *args: z.flatten(*args),
    "abs": lambda z: z.abs(),
    "square": lambda z: z.square(),
    "sigmoid": _transcendental(lambda z: 1 / (1 + mpmath.exp(-z))),
    "tanh": _transcendental(mpmath.tanh),
    "exp": _transcendental(mpmath.exp),
    "sqrt": _curve(root),
    "reciprocal": _curve(lambda value: 1 / value),
    "add": lambda a, b: b + a if isinstance(a, torch.Tensor) else a + b,
    "mul": lambda a, b: b * a if isinstance(a, torch.Tensor) else a * b,
    "sub": lambda a, b: -b + a if isinstance(a, torch.Tensor) else a - b,
    "maximum": lambda a, b: a._pairwise(b, max),
    "minimum": lambda a, b: a._pairwise(b, min),
    "_pair": partial,
}
