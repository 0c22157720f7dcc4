"""A network from an ONNX file."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from inradius.errors import InputError, UnsupportedError
from inradius.models.onnx.build import Build, start
from inradius.models.onnx.external import ExternalFiles
from inradius.models.onnx.idioms import with_idioms
from inradius.models.onnx.inputs import read_inputs
from inradius.models.onnx.library import onnx_library
from inradius.models.onnx.limits import MOST_BYTES, MOST_NODES, TooLargeError
from inradius.models.onnx.network import OnnxNetwork, Step, pruned
from inradius.models.onnx.node import Node, described, read_node
from inradius.models.onnx.tensors import dtype_of, read_tensor
from inradius.models.onnx.text import text

OPSETS = range(7, 22)
_OLDEST_IR = 3


def read_onnx(file: str | Path) -> OnnxNetwork:
    """The network in an ONNX file, in eval mode, made of torch operators that compute what the file says.

    The first axis of the file's input is that of the examples where its length is 1 or a name; an input with one axis
    of fixed length is one example. Several inputs are one row of numbers, flattened one after the other. Raises ``InputError``
    for a file that is missing, damaged or too large, and ``UnsupportedError`` with a node's name for what the reader does not know.
    """
    path = Path(file).expanduser()
    model = _parse(path)
    graph = model.graph
    external = ExternalFiles(path)
    stored = _stored(graph, path, external)
    given = read_inputs(graph, stored, path)
    _check_stored(graph, stored, path)
    if given.nodes:
        _check_used(graph, stored, path)
    _check_names(graph, path)
    nodes = [*given.nodes, *(read_node(proto, _opset(model, path), str(path), external.read) for proto in graph.node)]
    stored |= given.stored
    try:
        build = start(given.name, given.shape, given.dtype, outside=given.outside, fixed=given.fixed, stored=stored)
    except TooLargeError as error:
        raise InputError(f"the input {given.name!r} of {path} is too large: {error}") from error
    output = _output(graph, path)
    build.add_all(_needed(with_idioms(nodes, stored), output), output)
    found = _finished(build, graph.output[0], nodes, given.shape, path).eval()
    found.input_parts = given.parts
    return found


def onnx_files(path: Path) -> list[Path]:
    """The file, and the files beside it that hold its weights. Raises ``InputError`` and ``UnsupportedError`` as ``read_onnx``."""
    external, found = ExternalFiles(path), set()
    for proto in _outside(_parse(path).graph):
        places = [entry.value for entry in proto.external_data if entry.key == "location"]
        found |= {external.inside(place, f"the tensor {proto.name!r} in {path}") for place in places}
    return [path, *sorted(found)]


def _outside(graph: Any) -> Iterator[Any]:
    """The tensors of a graph, and of graphs within it, that are stored in other files."""
    tensors = [*graph.initializer]
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        tensors += [attribute.t, *attribute.tensors]
        for inner in (attribute.g, *attribute.graphs):
            yield from _outside(inner)
    yield from (proto for proto in tensors if proto.external_data)


def _parse(path: Path) -> Any:
    """The file's content, after its size."""
    onnx = onnx_library(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; an ONNX network is a file that ends in .onnx")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise InputError(f"{path} has {size} bytes; allowed are {MOST_BYTES}, with weights in files beside it")
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except (DecodeError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read as ONNX: {(str(error).splitlines() or ['no reason given'])[0]}"
        ) from error
    if not model.HasField("graph") or not _OLDEST_IR <= model.ir_version <= onnx.IR_VERSION:
        raise InputError(
            f"{path} holds no graph of a known format (IR version {model.ir_version}); "
            f"allowed are versions {_OLDEST_IR} to {onnx.IR_VERSION}"
        )
    if len(model.graph.node) > MOST_NODES:
        raise InputError(f"{path} has {len(model.graph.node)} nodes; allowed are {MOST_NODES}")
    if model.graph.sparse_initializer or model.functions:
        raise UnsupportedError(
            f"{path} has sparse weights or functions of its own; allowed are dense weights and operators"
        )
    return model


def _opset(model: Any, path: Path) -> int:
    found = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(found) != 1 or found[0] not in OPSETS:
        names = " and ".join(map(str, found)) or "of no version"
        raise UnsupportedError(
            f"{path} has the operator set {names}; allowed is one of {OPSETS.start} to {OPSETS.stop - 1}"
        )
    return int(found[0])


def _stored(graph: Any, path: Path, external: ExternalFiles) -> dict[str, Tensor]:
    """The weights that the file stores, by name."""
    found: dict[str, Tensor] = {}
    for proto in graph.initializer:
        if not text(proto.name, path) or proto.name in found:
            raise InputError(f"{path} stores the weights {proto.name!r} twice or without a name; allowed is once")
        found[proto.name] = read_tensor(proto, f"the tensor {proto.name!r} in {path}", external.read)
    return found


def _check_stored(graph: Any, stored: dict[str, Tensor], path: Path) -> None:
    """Raises ``InputError`` where the file announces a stored tensor, as older ones do, otherwise than it is."""
    for value in graph.input:
        if text(value.name, path) in stored:
            _check_declared(value, stored[value.name], f"the input {value.name!r} of {path}, which it stores,")


def _check_used(graph: Any, stored: dict[str, Tensor], path: Path) -> None:
    """Raises ``InputError`` for several inputs beside stored weights that nothing reads: one of them may be such a weight."""
    nodes = [node for each in _graphs(graph) for node in each.node]
    read = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
    unread = sorted(stored.keys() - read)
    if unread:
        raise InputError(
            f"{path} has several inputs, and stores {unread[0]!r}, which no node reads; allowed are stored weights that are used"
        )


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those within it."""
    yield graph
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        for inner in (attribute.g, *attribute.graphs):
            if inner.node:
                yield from _graphs(inner)


def _check_names(graph: Any, path: Path) -> None:
    counts = Counter(node.name for node in graph.node if node.name)
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        raise InputError(
            f"{path} has two nodes of the name {twice!r}; allowed are nodes with names of their own, or without"
        )


def _output(graph: Any, path: Path) -> str:
    if len(graph.output) != 1 or not graph.output[0].name:
        names = ", ".join(repr(value.name) for value in graph.output) or "none"
        raise UnsupportedError(f"{path} has the outputs {names}; allowed is one")
    return text(graph.output[0].name, path)


def _needed(nodes: list[Node], output: str) -> list[Node]:
    """The nodes that the output needs, each behind those that it needs."""
    made: dict[str, Node] = {}
    for node in nodes:
        for name in filter(None, node.outputs):
            if name in made:
                raise InputError(f"{node} makes {name!r}, which {made[name]} makes as well; allowed is one of them")
            made[name] = node
    needed, chosen = {output}, []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(node.taken())
            chosen.append(node)
    return chosen[::-1]


def _finished(build: Build, value: Any, nodes: list[Node], shape: tuple[int, ...], path: Path) -> OnnxNetwork:
    known = build.known.get(value.name)
    if known is None:
        raise InputError(f"nothing in {path} makes its output {value.name!r}; allowed is the output of a node")
    if not known.varies:
        raise UnsupportedError(f"the output {value.name!r} of {path} does not depend on its input")
    _check_declared(value, known.one[0] if build.outside else known.one, f"the output {value.name!r} of {path}")
    batch = known.batch
    if batch is None or known.one.shape[batch] != 1:
        raise UnsupportedError(
            f"the output {value.name!r} of {path} has shape {tuple(known.one.shape)}; allowed is an axis of the examples alone"
        )
    last, steps = value.name, build.steps
    if batch:
        last = build.free_name(f"{last}#first")
        steps = [*steps, Step(lambda x: x.movedim(batch, 0), (value.name,), (last,))]
    steps = pruned(steps, last, frozenset((*build.weights, build.input_name, last)))
    used = {name for step in steps for name in step.inputs}
    weights = {name: tensor for name, tensor in build.weights.items() if name in used}
    graph = hashlib.sha256("\n".join(map(described, nodes)).encode()).hexdigest()[:16]
    ends, shapes = (build.input_name, last), (shape, tuple(known.one.movedim(batch, 0).shape[1:]))
    return OnnxNetwork(steps, weights, build.learned(), ends, shapes, build.input_dtype, graph)


def _check_declared(value: Any, found: Tensor, what: str) -> None:
    """Raises ``InputError`` where the file announces a value with another type or shape than it has."""
    declared = value.type.tensor_type
    lengths = [entry.dim_value if entry.HasField("dim_value") else None for entry in declared.shape.dim]
    if not declared.HasField("elem_type") or dtype_of(declared.elem_type, what) != found.dtype:
        raise InputError(f"{what} is announced with another type than {found.dtype}")
    if declared.HasField("shape") and (
        len(lengths) != found.dim() or any(a not in (None, b) for a, b in zip(lengths, found.shape, strict=True))
    ):
        raise InputError(f"{what} is announced with shape {tuple(lengths)} and has shape {tuple(found.shape)}")
