"""Interpolation, padding by the image's own numbers, folding, and running sums: products with constant matrices, or moves."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.constants import ConstantTensor
from inradius_bounds.lowering.node import Node

_aten = torch.ops.aten


def along(build: Builder, value: Node, axis: int, matrix: Tensor) -> Node:
    """The value times a constant matrix (out, in) along one axis."""
    given = ConstantTensor(build.constants, lambda store: matrix.to(build.device, store.dtype))
    if axis % len(value.shape) == len(value.shape) - 1:
        return build.linear(value, given, None)
    moved = build.move(value, lambda places: places.movedim(axis, -1))
    return build.move(build.linear(moved, given, None), lambda places: places.movedim(-1, axis))


def _interpolated(operator: Any, axes: int) -> Callable[..., Node]:
    """An interpolation along the last axes, one axis after the other, as it is a product of one-dimensional ones."""

    def rewrite(build: Builder, value: Node, size: Any, *setting: Any) -> Node:
        sizes = [int(length) for length in size]
        aligned, scales = setting[0], [*setting[1:], *[None] * axes][:axes]
        for number, length in enumerate(sizes):
            axis = len(value.shape) - axes + number
            if value.shape[axis] != length or scales[number] not in (None, 1.0):
                matrix = _matrix(operator, axes, number, value.shape[axis], length, aligned, scales[number])
                value = along(build, value, axis, matrix)
        return value

    return rewrite


def _matrix(operator: Any, axes: int, number: int, before: int, after: int, aligned: Any, scale: Any) -> Tensor:
    """The matrix (after, before) of an interpolation along one axis, in float64: the operator at unit inputs."""
    # two numbers along the other axes, as torch's kernels with antialias are wrong for one
    shape, size, scales = [2] * axes, [2] * axes, [None] * axes
    shape[number], size[number], scales[number] = before, after, scale
    unit = torch.eye(before, dtype=torch.float64).view(
        1, before, *(before if axis == number else 1 for axis in range(axes))
    )
    found: Tensor = operator(unit.expand(1, before, *shape).contiguous(), size, aligned, *scales)
    for axis in reversed(range(axes)):
        found = found if axis == number else found.select(2 + axis, 0)
    return found[0].t()


def _reflected(axes: int) -> Callable[..., Node]:
    def rewrite(build: Builder, value: Node, sizes: Sequence[int]) -> Node:
        """The image mirrored at its borders, without the borders themselves."""
        operator = (_aten.reflection_pad1d, _aten.reflection_pad2d, _aten.reflection_pad3d)[axes - 1]
        return build.move(value, lambda places: operator(places, sizes))

    return rewrite


def _replicated(axes: int) -> Callable[..., Node]:
    def rewrite(build: Builder, value: Node, sizes: Sequence[int]) -> Node:
        """The image with its borders repeated."""
        operator = (_aten.replication_pad1d, _aten.replication_pad2d, _aten.replication_pad3d)[axes - 1]
        return build.move(value, lambda places: operator(places, sizes))

    return rewrite


def _nearest(operator: Any) -> Callable[..., Node]:
    def rewrite(build: Builder, value: Node, *args: Any) -> Node:
        """Each number of the result is the nearest one of the image."""
        return build.move(value, lambda places: operator(places, *args))

    return rewrite


def fold(build: Builder, value: Node, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Node:
    """Columns of windows added up where they lie on the image, the reverse of ``im2col``."""
    height, width = int(size[0]), int(size[1])
    rows, columns = ((size[a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 for a in (0, 1))
    channels = value.shape[-2] // (kernel[0] * kernel[1])
    whole = build.reshape(value, torch.Size([*value.shape[:-2], channels, kernel[0], kernel[1], rows, columns]))
    found = None
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            part = build.move(whole, _tap(i, j))
            moved = _spread(build, part, (height, width), (i * dilation[0], j * dilation[1]), padding, stride)
            found = moved if found is None else build.add(found, moved)
    assert found is not None
    return found


def _tap(row: int, column: int) -> Callable[[Tensor], Tensor]:
    """The numbers at one place of all windows."""
    return lambda places: places[..., row, column, :, :]


def _spread(build: Builder, part: Node, size: Any, start: Any, padding: Any, stride: Any) -> Node:
    """Numbers at every stride-th place of an image, zeros elsewhere; those over the padding are dropped."""

    def place(own: Tensor, places: Tensor) -> Tensor:
        room = [size[a] + 2 * padding[a] + stride[a] for a in (0, 1)]
        image = own.reshape(()).expand(*places.shape[:-2], *room).clone()
        ends = [start[a] + stride[a] * places.shape[-2 + a] for a in (0, 1)]
        image[..., start[0] : ends[0] : stride[0], start[1] : ends[1] : stride[1]] = places
        return image[..., padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]

    zero = build.constant(0.0).then(lambda tensor: tensor.reshape(1))
    return build.gather([zero, part], place)


def running_sum(build: Builder, value: Node, axis: int, *, dtype: Any = None) -> Node:
    """The sums of the numbers up to each place along an axis."""
    if dtype is not None:
        raise build.refuse(f"cumsum in {dtype}, which no layer rule covers; allowed is the type of the value")
    count = value.shape[axis]
    return along(build, value, axis, torch.ones(count, count, dtype=torch.float64).tril())


RESAMPLING: dict[str, Callable[..., Any]] = {
    "upsample_linear1d": _interpolated(_aten.upsample_linear1d, 1),
    "upsample_bilinear2d": _interpolated(_aten.upsample_bilinear2d, 2),
    "upsample_bicubic2d": _interpolated(_aten.upsample_bicubic2d, 2),
    "upsample_trilinear3d": _interpolated(_aten.upsample_trilinear3d, 3),
    "_upsample_bilinear2d_aa": _interpolated(_aten._upsample_bilinear2d_aa, 2),
    "_upsample_bicubic2d_aa": _interpolated(_aten._upsample_bicubic2d_aa, 2),
    "upsample_nearest3d": _nearest(_aten.upsample_nearest3d),
    "_upsample_nearest_exact1d": _nearest(_aten._upsample_nearest_exact1d),
    "_upsample_nearest_exact2d": _nearest(_aten._upsample_nearest_exact2d),
    "_upsample_nearest_exact3d": _nearest(_aten._upsample_nearest_exact3d),
    **{f"reflection_pad{axes}d": _reflected(axes) for axes in (1, 2, 3)},
    **{f"replication_pad{axes}d": _replicated(axes) for axes in (1, 2, 3)},
    "col2im": fold,
    "cumsum": running_sum,
}
