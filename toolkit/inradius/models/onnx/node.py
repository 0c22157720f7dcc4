"""Nodes of a file: an operator with its attributes, and the names of what it takes and makes."""

import hashlib
from typing import Any, NoReturn

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError, UnsupportedError
from inradius.models.onnx.tensors import External, read_tensor
from inradius.models.onnx.text import text, texts


@attrs.frozen(eq=False)
class Branch:
    """A graph within a node: its nodes, the tensors that it stores, and the names of its outputs."""

    nodes: "tuple[Node, ...]"
    stored: dict[str, Tensor]
    outputs: tuple[str, ...]

    def taken(self) -> set[str]:
        """The names that the branch takes, also from around it."""
        return {*self.outputs, *(name for node in self.nodes for name in node.taken())}


@attrs.frozen(eq=False)
class Node:
    """A node: its name in errors, the operator, the operator set of the file, attributes, inputs ("" for none) and outputs.

    ``own``: the operator is one of the reader's own, not of the standard.
    """

    name: str
    op: str
    opset: int
    attributes: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    file: str
    own: bool = False

    def __str__(self) -> str:
        # a sentence has one line, whatever the file holds
        op = self.op if self.op.isprintable() else repr(self.op)
        return f"node {self.name!r} ({op}) of {self.file}"

    def taken(self) -> set[str]:
        """The names that the node takes, those of its branches included."""
        inner = (value.taken() for value in self.attributes.values() if isinstance(value, Branch))
        return {*self.inputs}.union(*inner) - {""}

    def refuse(self, reason: str) -> NoReturn:
        """Raises ``UnsupportedError`` with the node's name and a reason."""
        raise UnsupportedError(f"{self} {reason}")


def read_node(proto: Any, opset: int, file: str, external: External) -> Node:
    """The node that a file describes, with its attributes as numbers, texts and tensors."""
    inputs, outputs = texts(proto.input, f"a node of {file}"), texts(proto.output, f"a node of {file}")
    name = text(proto.name, f"a node of {file}") or next((name for name in outputs if name), "without outputs")
    node = Node(name, text(proto.op_type, f"node {name!r} of {file}"), opset, {}, inputs, outputs, file)
    if proto.domain not in ("", "ai.onnx"):
        node.refuse(f"is of the domain {proto.domain!r}; allowed are the operators of ONNX itself")
    for attribute in proto.attribute:
        if text(attribute.name, node) in node.attributes:
            raise InputError(f"{node} has the attribute {attribute.name!r} twice; allowed is once")
        node.attributes[attribute.name] = _value(attribute, node, external)
    return node


def _value(attribute: Any, node: Node, external: External) -> Any:
    kind = attribute.type
    if attribute.ref_attr_name or kind not in _READ:
        node.refuse(f"has the attribute {attribute.name!r}, which is no number, text or tensor")
    if kind == _GRAPH:
        return _branch(attribute.g, node, external)
    if kind == _TENSOR:
        return read_tensor(attribute.t, f"the attribute {attribute.name!r} of {node}", external)
    try:
        return _READ[kind](attribute)
    except UnicodeDecodeError as error:
        raise InputError(f"{node} has an attribute {attribute.name!r} that is no text; allowed is UTF-8") from error


def _branch(graph: Any, node: Node, external: External) -> Branch:
    if graph.input or graph.sparse_initializer:
        node.refuse("has a branch with inputs or sparse weights")
    what = f"a branch of {node}"
    stored = {proto.name: read_tensor(proto, f"{proto.name!r} in {what}", external) for proto in graph.initializer}
    nodes = tuple(read_node(proto, node.opset, node.file, external) for proto in graph.node)
    return Branch(nodes, stored, texts((value.name for value in graph.output), what))


_TENSOR, _GRAPH = 4, 5
# by the numbers of ``AttributeProto.AttributeType``
_READ: dict[int, Any] = {
    1: lambda attribute: float(attribute.f),
    2: lambda attribute: int(attribute.i),
    3: lambda attribute: attribute.s.decode("utf-8"),
    _TENSOR: None,
    _GRAPH: None,
    6: lambda attribute: list(attribute.floats),
    7: lambda attribute: list(attribute.ints),
    8: lambda attribute: [text.decode("utf-8") for text in attribute.strings],
}
KINDS = {1: float, 2: int, 3: str, _TENSOR: Tensor, _GRAPH: Branch, 6: list, 7: list, 8: list}


def described(node: Node) -> str:
    """A text that tells a node from another: everything but names and the numbers of stored tensors."""
    values = {key: _plain(value) for key, value in sorted(node.attributes.items())}
    return f"{node.op}@{node.opset}{node.inputs}{node.outputs}{values}"


def _plain(value: Any) -> Any:
    if isinstance(value, Branch):
        return [*map(described, value.nodes), *map(_plain, value.stored.values()), value.outputs]
    if not isinstance(value, Tensor):
        return value
    content = value.reshape(-1).view(torch.uint8).numpy().tobytes()
    return (str(value.dtype), tuple(value.shape), hashlib.sha256(content).hexdigest())
