"""Affine functions of torch, with their interval bounds: what a captured computation may use beside layers with rules."""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

Box = tuple[Tensor, Tensor]


@attrs.frozen(eq=False)
class AffineFunction:
    """A function of torch that is affine in the values that vary.

    ``interval`` takes the arguments with a ``Box`` in the place of each value that varies, and gives the box of the result;
    ``mixes`` says whether one output adds up several inputs.
    """

    name: str
    call: Callable[..., Any]
    interval: Callable[..., Any]
    mixes: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)


def side(given: Any, place: int) -> Any:
    """The arguments with the lower (0) or upper (1) end of each box in its place."""
    if is_box(given):
        return given[place]
    if isinstance(given, tuple | list):
        return type(given)(side(each, place) for each in given)
    if isinstance(given, Mapping):
        return {name: side(each, place) for name, each in given.items()}
    return given


def is_box(given: Any) -> bool:
    """Whether ``given`` is the box of a value that varies."""
    return isinstance(given, BoxPair)


class BoxPair(tuple[Tensor, Tensor]):
    """The lower and the upper ends of a value that varies; a class, so that no tuple of tensors is taken for one."""


def _rising(call: Callable[..., Any]) -> Callable[..., Any]:
    """The interval of a function all of whose weights are ≥ 0: end by end."""

    def interval(*args: Any, **kwargs: Any) -> Any:
        low, high = (call(*side(args, place), **side(kwargs, place)) for place in (0, 1))
        if isinstance(low, tuple | list):
            return tuple(BoxPair(pair) for pair in zip(low, high, strict=True))
        return BoxPair((low, high))

    return interval


def _scaled(call: Callable[..., Tensor]) -> Callable[..., BoxPair]:
    """The interval of a product of one value that varies and constants: its middle, and the radius times |constant|."""

    def interval(first: Any, second: Any, *more: Any, **kwargs: Any) -> BoxPair:
        middle = call(_middle(first), _middle(second), *more, **kwargs)
        # a bias shifts the middle alone
        bare = {name: value for name, value in kwargs.items() if name != "bias"}
        spread = call(_spread(first), _spread(second), *_without_bias(call, more), **bare)
        return BoxPair((middle - spread, middle + spread))

    return interval


def _middle(given: Any) -> Any:
    return (given[0] + given[1]) / 2 if is_box(given) else given


def _spread(given: Any) -> Any:
    return (given[1] - given[0]) / 2 if is_box(given) else abs(given)


def _without_bias(call: Callable[..., Any], more: tuple[Any, ...]) -> tuple[Any, ...]:
    return (None, *more[1:]) if more and call in _BIASED else more


_BIASED = (F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d)


def _difference(first: Any, second: Any) -> BoxPair:
    low, high = side(first, 0) - side(second, 1), side(first, 1) - side(second, 0)
    return BoxPair((low, high))


def _opposite(value: BoxPair) -> BoxPair:
    return BoxPair((-value[1], -value[0]))


def _quotient(first: Any, second: Any) -> BoxPair:
    ends = first[0] / second, first[1] / second
    return BoxPair((torch.minimum(*ends), torch.maximum(*ends)))


def item(values: Any, place: int) -> Any:
    """One of several results."""
    return values[place]


def _structural() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions that move numbers."""
    for name in ("cat", "stack", "concat", "hstack", "vstack", "repeat_interleave"):
        yield name, getattr(torch, name)
    # as methods, which take an axis list in one piece or in many
    for name in (
        "flatten", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "unflatten", "movedim", "flip", "roll",
        "split", "chunk", "unbind", "narrow", "select", "index_select", "tile", "clone", "view", "expand", "repeat",
        "contiguous", "expand_as", "view_as", "t", "detach",
    ):  # fmt: skip
        yield name, getattr(Tensor, name)
    yield "getitem", operator.getitem
    yield "item", item
    yield "pad", F.pad
    yield "pixel_shuffle", F.pixel_shuffle
    yield "pixel_unshuffle", F.pixel_unshuffle
    yield "unfold", F.unfold


def _summing() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions that add numbers up with weights ≥ 0."""
    yield "add", operator.add
    yield "sum", torch.sum
    yield "mean", torch.mean
    for name in ("avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d"):
        yield name, getattr(F, name)


def _products() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Products with constants, whose signs are not known."""
    yield "linear", F.linear
    yield "matmul", torch.matmul
    for name in ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d"):
        yield name, getattr(F, name)


def _table() -> dict[str, AffineFunction]:
    found = {name: AffineFunction(name, call, _rising(call)) for name, call in _structural()}
    found |= {name: AffineFunction(name, call, _rising(call), mixes=True) for name, call in _summing()}
    found |= {name: AffineFunction(name, call, _scaled(call), mixes=True) for name, call in _products()}
    found["mul"] = AffineFunction("mul", operator.mul, _scaled(operator.mul))
    found["sub"] = AffineFunction("sub", operator.sub, _difference, mixes=True)
    found["neg"] = AffineFunction("neg", operator.neg, _opposite)
    found["div"] = AffineFunction("div", operator.truediv, _quotient)
    return found


FUNCTIONS: dict[str, AffineFunction] = _table()
