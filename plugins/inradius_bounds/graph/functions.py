"""What the operators of a captured computation are turned into: affine functions, layers with a rule, or other operators."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from inradius import UnsupportedError
from inradius_bounds.graph.affine import FUNCTIONS, AffineFunction
from inradius_bounds.layers import Exp, Reciprocal, Square, SquareRoot

Rewrite = Callable[..., Any]

# Python's operators and torch's synonyms, by the names of the functions they are
_SYNONYMS = {
    "iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div", "truediv": "div", "true_divide": "div", "divide": "div",
    "multiply": "mul", "subtract": "sub", "negative": "neg", "__getitem__": "getitem", "concatenate": "cat", "mm": "matmul",
    "bmm": "matmul", "absolute": "abs", "clip": "clamp", "radd": "add", "rmul": "mul", "swapdims": "transpose",
    "swapaxes": "transpose", "rsub": "rsub", "einsum": "einsum",
}  # fmt: skip


def named(target: Any) -> str:
    """The name under which an operator is known."""
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return _SYNONYMS.get(name, name)


def plain(target: Any) -> Callable[..., Any]:
    """An operator on constants alone."""
    if not isinstance(target, str):
        return target  # type: ignore[no-any-return]
    return lambda first, *args, **kwargs: getattr(first, target)(*args, **kwargs)


def affine(name: str, args: Any, kwargs: Mapping[str, Any]) -> AffineFunction | None:
    """The affine function of that name, where its arguments are ones that it is affine for."""
    if name in ("add", "sub", "mul", "div") and (kwargs or len(args) > 2):
        raise UnsupportedError(f"{name} with more than two arguments has no bounds; write its products out")
    return FUNCTIONS.get(name)


def _layer(build: Callable[..., nn.Module]) -> Rewrite:
    """A function that is a layer: its further arguments are the layer's."""

    def rewrite(value: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("inplace", None)
        return value.tracer.applied(build(*args, **kwargs), value)

    return rewrite


def clamp(value: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002  torch's own names
    """Between two numbers."""
    if not all(bound is None or isinstance(bound, int | float) for bound in (min, max)):
        raise UnsupportedError("clamp between tensors has no bounds; allowed are numbers")
    low = float("-inf") if min is None else float(min)
    high = float("inf") if max is None else float(max)
    return value.tracer.applied(nn.Hardtanh(low, high), value)


def maximum(first: Any, second: Any) -> Any:
    """b + relu(a − b)."""
    return second + torch.relu(first - second)


def minimum(first: Any, second: Any) -> Any:
    """a − relu(a − b)."""
    return first - torch.relu(first - second)


def product(first: Any, second: Any) -> Any:
    """Of two values that vary, ((a + b)² − (a − b)²) / 4; of one, its square; else the product with a constant."""
    if not (_varies(first) and _varies(second)):
        return _affine("mul", first, second)
    if first.node is second.node:
        return torch.square(first)
    return (torch.square(first + second) - torch.square(first - second)) / 4


def quotient(first: Any, second: Any) -> Any:
    """a / b = a · (1 / b)."""
    return first * torch.reciprocal(second) if _varies(second) else _affine("div", first, second)


def matmul(first: Any, second: Any) -> Any:
    """Of two values that vary, sums of products; else the product with a constant."""
    if not (_varies(first) and _varies(second)):
        return _affine("matmul", first, second)
    if first.ndim < 2 or second.ndim < 2:
        raise UnsupportedError("a product of two values that vary is bounded for matrices; give both an axis more")
    return (first.unsqueeze(-1) * second.unsqueeze(-3)).sum(-2)


def power(value: Any, exponent: Any) -> Any:
    """Squares, square roots and reciprocals."""
    known: dict[float, Callable[[Any], Any]] = {
        1.0: lambda each: each,
        2.0: torch.square,
        0.5: torch.sqrt,
        -1.0: torch.reciprocal,
        -0.5: lambda each: torch.reciprocal(torch.sqrt(each)),
    }
    if not isinstance(exponent, int | float) or float(exponent) not in known:
        raise UnsupportedError(f"a power of {exponent} has no bounds; allowed are {', '.join(map(str, known))}")
    return known[float(exponent)](value)


def softmax(value: Any, dim: int = -1, **_: Any) -> Any:
    """1 / Σ_j exp(z_j − z_i), which no sum of exponentials in the denominator loosens."""
    axis = dim % value.ndim
    differences = value.unsqueeze(axis + 1) - value.unsqueeze(axis)
    # entry (i, j) is z_i − z_j; the sum runs over j
    return torch.reciprocal(torch.exp(-differences).sum(axis + 1))


def layer_norm(value: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(z − mean) / sqrt(variance + eps) · weight + bias."""
    axes = tuple(range(-len(tuple(shape)), 0))
    centered = value - value.mean(axes, keepdim=True)
    variance = torch.square(centered).mean(axes, keepdim=True) + eps
    found = centered * torch.reciprocal(torch.sqrt(variance))
    found = found if weight is None else found * weight
    return found if bias is None else found + bias


def batch_norm(
    value: Any, mean: Any, variance: Any, weight: Any = None, bias: Any = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """(z − mean) / sqrt(variance + eps) · weight + bias, with the running statistics."""
    if training:
        raise UnsupportedError("batch_norm with training=True joins the examples of a batch; bounds need it off")
    shape = (-1, *(1,) * (value.ndim - 2))
    scale = torch.rsqrt(variance + eps)
    scale = scale if weight is None else scale * weight
    found = (value - mean.reshape(shape)) * scale.reshape(shape)
    return found if bias is None else found + bias.reshape(shape)


def max_pool2d(
    value: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest number of each window, by pairs."""
    if ceil_mode or return_indices:
        raise UnsupportedError("max_pool2d with ceil_mode or return_indices has no bounds; allowed is neither")
    size, step = _pair(kernel_size), _pair(kernel_size if stride is None else stride)
    pad, gap = _pair(padding), _pair(dilation)
    rows, columns = (_places(value.shape[2 + a], size[a], step[a], pad[a], gap[a]) for a in (0, 1))
    images = [value[:, :, row][:, :, :, column] for row, column in itertools.product(rows, columns)]
    while len(images) > 1:
        pairs = [maximum(*images[place : place + 2]) for place in range(0, len(images) - 1, 2)]
        images = pairs + images[2 * len(pairs) :]
    return images[0]


def _places(length: int, size: int, step: int, pad: int, gap: int) -> list[list[int]]:
    """For each place in a window, where it lies in each window along an axis; over the padding a place of the same window."""
    windows = range((length + 2 * pad - gap * (size - 1) - 1) // step + 1)
    lists = [[w * step - pad + k * gap for k in range(size)] for w in windows]
    inside = [[place for place in window if 0 <= place < length] for window in lists]
    return [
        [window[k] if 0 <= window[k] < length else valid[0] for window, valid in zip(lists, inside, strict=True)]
        for k in range(size)
    ]


def _pair(given: Any) -> tuple[int, int]:
    pair = (given, given) if isinstance(given, int) else tuple(given)
    return int(pair[0]), int(pair[-1])


def _varies(given: Any) -> bool:
    from inradius_bounds.graph.capture import Value

    return isinstance(given, Value) and bool(given.node.meta.get("varying", False))


def _affine(name: str, *args: Any) -> Any:
    from inradius_bounds.graph.capture import Value

    tracer: Any = next(each.tracer for each in args if isinstance(each, Value))
    return tracer.node(FUNCTIONS[name], name, args, {})


def _dropout(value: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    if training:
        raise UnsupportedError("dropout with training=True is random; bounds need it off")
    return value


REWRITES: dict[str, Rewrite] = {
    "relu": _layer(nn.ReLU),
    "relu6": lambda value, inplace=False: clamp(value, 0, 6),
    "leaky_relu": _layer(nn.LeakyReLU),
    "hardtanh": lambda value, min_val=-1.0, max_val=1.0, inplace=False: clamp(value, min_val, max_val),
    "sigmoid": _layer(nn.Sigmoid),
    "tanh": _layer(nn.Tanh),
    "softplus": _layer(nn.Softplus),
    "gelu": _layer(nn.GELU),
    "silu": _layer(nn.SiLU),
    "elu": _layer(nn.ELU),
    "celu": _layer(nn.CELU),
    "square": _layer(Square),
    "exp": _layer(Exp),
    "reciprocal": _layer(Reciprocal),
    "sqrt": _layer(SquareRoot),
    "rsqrt": lambda value: torch.reciprocal(torch.sqrt(value)),
    "abs": lambda value: torch.relu(value) + torch.relu(-value),
    "clamp": clamp,
    "maximum": maximum,
    "max": maximum,
    "minimum": minimum,
    "min": minimum,
    "mul": product,
    "div": quotient,
    "matmul": matmul,
    "pow": power,
    "rsub": lambda first, second: second - first,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "max_pool2d": max_pool2d,
    "dropout": _dropout,
    "batch_norm": batch_norm,
}
