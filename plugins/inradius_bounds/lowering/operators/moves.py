"""Operators that move numbers: each number of the result is one of the arguments'."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.capture.graph import replaced
from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.constants import ConstantTensor
from inradius_bounds.lowering.node import Node

Rewrite = Callable[..., Any]


def _reshaped(build: Builder, value: Node, shape: Any) -> Node:
    if isinstance(shape, torch.dtype):
        raise build.refuse(f"view({shape}), which reads numbers as another type, and which no layer rule covers")
    return build.move(value, lambda places: places.reshape(shape))


def _moved(operator: Any) -> Rewrite:
    """The rewriting of an operator of one value, which is run on the places of the numbers. Index tensors must be constants."""

    def rewrite(build: Builder, value: Node, *args: Any, **kwargs: Any) -> Node:
        plain = replaced(args, build.fixed)
        if any(isinstance(each, Node) for each in _leaves(plain)):
            raise build.refuse(f"{operator} with places that depend on the input, which no layer rule covers")
        return build.move(value, lambda places: operator(places, *plain, **kwargs))

    return rewrite


def _several(operator: Any) -> Rewrite:
    """The rewriting of an operator with several results, each of which moves numbers of one value."""

    def rewrite(build: Builder, value: Node, *args: Any, **kwargs: Any) -> list[Node]:
        count = len(operator(torch.empty(value.shape, device="meta"), *args, **kwargs))
        return [build.move(value, _part(operator, number, args, kwargs)) for number in range(count)]

    return rewrite


def _part(operator: Any, number: int, args: Any, kwargs: Any) -> Callable[[Tensor], Tensor]:
    return lambda places: operator(places, *args, **kwargs)[number]


def _joined(operator: Any) -> Rewrite:
    """The rewriting of an operator that takes a list of values and constants."""

    def rewrite(build: Builder, parts: Any, *args: Any) -> Node:
        return build.gather(list(parts), lambda *places: operator(list(places), *args))

    return rewrite


def _leaves(given: Any) -> list[Any]:
    found: list[Any] = []
    replaced(given, found.append)
    return found


def pad(build: Builder, value: Node, sizes: Any, number: float = 0.0) -> Node:
    """The value with a number around it."""
    # place 0 belongs to the number
    fixed = build.constant(number).then(lambda tensor: tensor.reshape(1))
    return build.gather([fixed, value], lambda own, places: _padded(places, sizes, float(own)))


def _padded(places: Tensor, sizes: Any, number: float) -> Tensor:
    return torch.ops.aten.constant_pad_nd(places, sizes, number)  # type: ignore[no-any-return]


def unfold(build: Builder, value: Node, size: Any, dilation: Any, padding: Any, stride: Any) -> Node:
    """Windows of images as columns, with zeros around the images."""
    vertical, horizontal = (padding[0], padding[-1])
    padded = pad(build, value, [horizontal, horizontal, vertical, vertical])
    return build.move(padded, lambda places: torch.ops.aten.im2col(places, size, dilation, [0, 0], stride))


def where(build: Builder, condition: Any, first: Any, second: Any) -> Node:
    """One of two values, number by number, by a constant condition."""
    if isinstance(condition, Node):
        raise build.refuse("where with a condition that depends on the input, which no layer rule covers")
    parts = [part if isinstance(part, Node | ConstantTensor) else build.constant(part) for part in (first, second)]
    chosen = build.fixed(condition)
    return build.gather(parts, lambda one, other: torch.where(chosen, one, other))


def masked_fill(build: Builder, value: Node, mask: Any, number: Any) -> Node:
    """The value with a number where a constant mask is set."""
    return where(build, mask, number, value)


def same(build: Builder, value: Node, *args: Any, **kwargs: Any) -> Node:
    """The value, unchanged."""
    return value


_aten = torch.ops.aten

MOVES: dict[str, Rewrite] = {
    "view": _reshaped,
    "_unsafe_view": _reshaped,
    "reshape": _reshaped,
    "_reshape_alias": lambda build, value, shape, *_: _reshaped(build, value, shape),
    **{
        name: _moved(getattr(_aten, name))
        for name in (
            "t", "transpose", "permute", "squeeze", "unsqueeze", "expand", "repeat", "flip", "roll", "slice", "select",
            "index", "index_select", "narrow", "pixel_shuffle", "pixel_unshuffle", "unfold", "diagonal",
            "channel_shuffle", "rot90", "upsample_nearest1d", "upsample_nearest2d",
        )
    },
    **{name: _several(getattr(_aten, name)) for name in ("split", "split_with_sizes", "unbind", "chunk")},
    "cat": _joined(_aten.cat),
    "stack": _joined(_aten.stack),
    "constant_pad_nd": pad,
    "im2col": unfold,
    "where": where,
    "masked_fill": masked_fill,
    **dict.fromkeys(("clone", "detach", "alias", "contiguous", "lift_fresh", "_conj", "view_of"), same),
}  # fmt: skip
