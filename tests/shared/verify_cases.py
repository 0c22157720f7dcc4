"""Small networks, as modules and ONNX files, and properties of their outputs with known answers."""

import numpy as np
import torch
from torch import nn


def network(seed=0, inputs=2, hidden=8, outputs=2, dtype=torch.float32):
    """A ReLU network with random weights, in eval mode."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs)).to(dtype)
    for parameter in model.parameters():
        parameter.data.copy_(torch.from_numpy(rng.normal(size=parameter.shape)))
    return model.eval().requires_grad_(False)


def onnx_file(model, path):
    """The file of such a network, of operators that a competition's files have."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    kind = TensorProto.DOUBLE if model[0].weight.dtype == torch.float64 else TensorProto.FLOAT
    nodes, weights, value = [], [], "x"
    for place, layer in enumerate(model):
        if isinstance(layer, nn.ReLU):
            nodes.append(helper.make_node("Relu", [value], [f"r{place}"]))
            value = f"r{place}"
            continue
        for name, tensor in (("w", layer.weight), ("b", layer.bias)):
            weights.append(numpy_helper.from_array(tensor.detach().numpy(), f"{name}{place}"))
        out = "y" if place == len(model) - 1 else f"h{place}"
        nodes.append(helper.make_node("Gemm", [value, f"w{place}", f"b{place}"], [out], transB=1))
        value = out
    ends = [
        helper.make_tensor_value_info(name, kind, [1, size])
        for name, size in (("x", model[0].in_features), ("y", model[-1].out_features))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(made)
    save(made, path)
    return path


def box_text(low, high, outputs=2):
    """Declarations, and the box low ≤ x ≤ high with decimals as they are given."""
    lines = [f"(declare-const X_{k} Real)" for k in range(len(low))]
    lines += [f"(declare-const Y_{k} Real)" for k in range(outputs)]
    for k, (a, b) in enumerate(zip(low, high, strict=True)):
        lines += [f"(assert (>= X_{k} {a}))", f"(assert (<= X_{k} {b}))"]
    return "\n".join(lines) + "\n"


def grid(low, high, count=41):
    """Points of a box of two inputs, (count², 2) in float64."""
    sides = [torch.linspace(float(a), float(b), count, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    return torch.cartesian_prod(*sides)
