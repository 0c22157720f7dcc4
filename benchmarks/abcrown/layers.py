"""An ONNX file of one path as a plain sequence of layers, and an unpacked VNN-LIB file."""

import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn


def layers(path: str) -> tuple[nn.Sequential, list[int]]:
    """The layers of a network of dense layers, convolutions and ReLUs, and the shape of its input without the batch."""
    graph = onnx.load(path).graph
    weights = {each.name: torch.tensor(numpy_helper.to_array(each)) for each in graph.initializer}
    (given,) = [each for each in graph.input if each.name not in weights]
    shape = [dim.dim_value for dim in given.type.tensor_type.shape.dim][1:]
    return nn.Sequential(*_merged(graph, weights)).eval(), shape


def _merged(graph: onnx.GraphProto, weights: dict[str, Tensor]) -> Iterator[nn.Module]:
    """The modules of the nodes; a product and the sum after it are one layer."""
    nodes = list(graph.node)
    for node, after in zip(nodes, [*nodes[1:], None], strict=True):
        inner = [weights[name] for name in node.input if name in weights]
        if node.op_type == "MatMul":
            assert after is not None, "a product at the end"
            assert after.op_type == "Add", "a product without a sum"
            yield _dense(inner[0].T, next(weights[name] for name in after.input if name in weights))
        elif node.op_type == "Gemm":
            yield _dense(*inner)
        elif node.op_type == "Conv":
            yield _convolution(node, *inner)
        elif node.op_type == "Sub":
            assert not inner[0].any(), "a shift of inputs"
        elif node.op_type != "Add":
            yield {"Relu": nn.ReLU, "Flatten": nn.Flatten}[node.op_type]()


def _dense(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*reversed(weight.shape))
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _convolution(node: onnx.NodeProto, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    chosen = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], chosen["strides"], chosen["pads"][:2])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def read(prop: str) -> str:
    """The path of a copy of a VNN-LIB file, unpacked; the peer writes a file beside each that it reads."""
    given = Path(prop)
    packed = given.suffix == ".gz"
    place = Path(tempfile.mkdtemp()) / (given.stem if packed else given.name)
    place.write_bytes(gzip.decompress(given.read_bytes()) if packed else given.read_bytes())
    return str(place)
