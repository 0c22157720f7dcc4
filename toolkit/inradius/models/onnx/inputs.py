"""The inputs of a file: one as it is, or several as one row of numbers, flattened in the file's order."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius.errors import UnsupportedError
from inradius.models.onnx.node import Node
from inradius.models.onnx.tensors import dtype_of
from inradius.models.onnx.text import text, texts

# the operator set of the nodes that take a row apart; its Split has the lengths as an attribute
_OPSET = 11


@attrs.frozen(eq=False)
class Inputs:
    """The network's one input: its name, its shape for one example, and its type.

    ``outside``: the file has no axis of examples; ``fixed``: it says that there is one example. ``nodes`` take the input apart
    where the file has several, and ``stored`` are their constants. ``parts`` are the shapes of the file's inputs.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    outside: bool
    fixed: bool
    nodes: tuple[Node, ...] = ()
    stored: Mapping[str, Tensor] = attrs.field(factory=dict)
    parts: tuple[tuple[int, ...], ...] = attrs.field(default=attrs.Factory(lambda self: (self.shape,), takes_self=True))


def read_inputs(graph: Any, stored: Mapping[str, Tensor], path: Path) -> Inputs:
    """The input of a graph. Raises ``UnsupportedError`` for what has no shape, and for several inputs that differ in type."""
    values = [value for value in graph.input if text(value.name, path) not in stored]
    if not values or not all(value.name for value in values):
        names = ", ".join(repr(value.name) for value in values) or "none"
        raise UnsupportedError(f"{path} has the inputs {names}; allowed are one or several with names")
    found = [_read(value, path) for value in values]
    return found[0] if len(found) == 1 else _joined(found, {*stored, *_names(graph)}, path)


def _read(value: Any, path: Path) -> Inputs:
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        raise UnsupportedError(f"the input {value.name!r} of {path} is no tensor with a shape; allowed is one tensor")
    dtype = dtype_of(value.type.tensor_type.elem_type, f"the input {value.name!r} of {path}")
    dims = value.type.tensor_type.shape.dim
    texts((entry.dim_param for entry in dims), f"the input {value.name!r} of {path}")
    lengths = [entry.dim_value if entry.HasField("dim_value") else None for entry in dims]
    first, rest = (lengths[0], lengths[1:]) if lengths else (1, [])
    outside = len(lengths) == 0 or first not in (None, 1) or (len(lengths) == 1 and first is not None)
    shape = lengths if outside else rest
    for axis, length in enumerate(shape, start=0 if outside else 1):
        if length is None or length < 1:
            raise UnsupportedError(
                f"the input {value.name!r} of {path} has no length along axis {axis}; allowed is that of the first axis alone"
            )
    return Inputs(value.name, tuple(int(length or 0) for length in shape), dtype, outside, first is not None)


def _joined(parts: Sequence[Inputs], taken: set[str], path: Path) -> Inputs:
    """One row of the numbers of all inputs. Where one of them has no axis of examples, the file is about one example."""
    names = ", ".join(repr(part.name) for part in parts)
    if len({part.dtype for part in parts}) > 1 or len({part.name for part in parts}) < len(parts):
        raise UnsupportedError(
            f"{path} has the inputs {names}; allowed are several of one type, with names of their own"
        )
    outside, fixed = any(part.outside for part in parts), any(part.fixed for part in parts)
    if outside and not all(part.fixed for part in parts):
        raise UnsupportedError(
            f"{path} has the inputs {names}; allowed is an axis of examples for all of them or for none"
        )
    # a file without an axis of examples has those of length 1 within the shapes
    shapes = [(1, *part.shape) if outside and not part.outside else part.shape for part in parts]
    sizes = [math.prod(shape) for shape in shapes]
    row, *flat = _free_names(["inputs", *(f"{part.name}#flat" for part in parts)], taken)
    constants = _free_names([f"{part.name}#shape" for part in parts], taken)
    kept = [] if outside else [0]
    stored = {
        name: torch.tensor([*kept, *shape], dtype=torch.int64) for name, shape in zip(constants, shapes, strict=True)
    }
    split = {"axis": 0 if outside else 1, "split": sizes}
    nodes = [Node("inputs", "Split", _OPSET, split, (row,), tuple(flat), str(path))]
    nodes += [
        Node(f"the shape of {part.name}", "Reshape", _OPSET, {}, (piece, name), (part.name,), str(path))
        for part, piece, name in zip(parts, flat, constants, strict=True)
    ]
    own = tuple(part.shape for part in parts)
    return Inputs(row, (sum(sizes),), parts[0].dtype, outside, fixed, tuple(nodes), stored, own)


def _names(graph: Any) -> set[str]:
    """All names of values in a graph."""
    return {value.name for value in graph.input} | {name for node in graph.node for name in (*node.input, *node.output)}


def _free_names(wanted: Sequence[str], taken: set[str]) -> list[str]:
    """Names like these that are not taken; they are taken then."""
    found = []
    for name in wanted:
        while name in taken:
            name += "#"
        taken.add(name)
        found.append(name)
    return found
