"""Files with several inputs: the network takes their numbers in one row, and gives what onnxruntime gives."""

import math

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import inradius
from inradius import UnsupportedError
from inradius.verification.replay import Replay
from inradius.verification.verify_file import VerifyOptions, verify_file

# the shapes of the inputs as the files say them; the first axis of the last two kinds is within the example
KINDS = {
    "one example": [[1, 2], [1, 1, 3], [1, 4]],
    "any number of examples": [["n", 2, 2], ["n", 3]],
    "without an axis of examples": [[2], [4], [1, 3]],
    "equal shapes": [[1, 3], [1, 3]],
}


def lengths(shape):
    return [size if isinstance(size, int) else 1 for size in shape]


def file(shapes, path, opset=13, seed=0, kinds=None):
    """A file that joins its inputs, those behind the first one doubled, and applies a ReLU network of 5 and 2 neurons."""
    rng = np.random.default_rng(seed)
    size = sum(math.prod(lengths(shape)) for shape in shapes)
    stored = {
        "w": rng.normal(size=(size, 5)), "v": rng.normal(size=(5, 2)), "two": np.array(2.0), "b": rng.normal(size=5)
    }  # fmt: skip
    nodes = [
        helper.make_node("Flatten", [f"in{k}"], [f"f{k}"], axis=len(shape) > 1 or 0) for k, shape in enumerate(shapes)
    ]
    nodes += [helper.make_node("Mul", [f"f{k}", "two"], [f"d{k}"]) for k in range(1, len(shapes))]
    nodes += [
        helper.make_node("Concat", ["f0", *(f"d{k}" for k in range(1, len(shapes)))], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "w"], ["h"]),
        helper.make_node("Add", ["h", "b"], ["hb"]),
        helper.make_node("Relu", ["hb"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    kinds = kinds or [TensorProto.FLOAT] * len(shapes)
    given = [
        helper.make_tensor_value_info(f"in{k}", kind, shape)
        for k, (kind, shape) in enumerate(zip(kinds, shapes, strict=True))
    ]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "net", given, [out], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.mark.parametrize("opset", [7, 13, 21])
@pytest.mark.parametrize("kind", KINDS)
def test_the_outputs_are_those_of_onnxruntime(tmp_path, kind, opset):
    shapes = KINDS[kind]
    path = file(shapes, tmp_path / "net.onnx", opset)
    session, model = onnxruntime.InferenceSession(path), inradius.load_model(str(path))
    sizes = [math.prod(lengths(shape)) for shape in shapes]
    assert model.input_shape == (sum(sizes),)
    rows, replay = torch.randn(3, sum(sizes)), Replay.of(path)
    outputs = model(rows).reshape(3, 2)
    for row, output in zip(rows, outputs, strict=True):
        parts = [part.reshape(lengths(shape)).numpy() for part, shape in zip(row.split(sizes), shapes, strict=True)]
        expected = session.run(None, {f"in{k}": part for k, part in enumerate(parts)})[0]
        torch.testing.assert_close(output, torch.from_numpy(expected).flatten())
        torch.testing.assert_close(replay(row[None]), torch.from_numpy(expected).reshape(1, -1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, -0.1])
def test_a_box_for_each_input_is_verified(tmp_path, kind, share):
    """X_0, X_1, … count through the inputs; the least output over the corners and a grid of points is met or excluded."""
    path, seed = file(KINDS[kind], tmp_path / "net.onnx"), 3
    size = sum(math.prod(lengths(shape)) for shape in KINDS[kind])
    rng = np.random.default_rng(seed)
    center, width = rng.normal(size=size).round(3), rng.uniform(0.05, 0.3, size).round(3)
    points = torch.from_numpy(center + width * rng.uniform(-1, 1, (20000, size)).round()).float()
    values = inradius.load_model(str(path))(points).reshape(-1, 2)[:, 0].detach().double()
    level = float(values.min()) + share * float(values.max() - values.min())
    lines = [f"(declare-const X_{i} Real)" for i in range(size)] + [f"(declare-const Y_{i} Real)" for i in range(2)]
    for i, (middle, half) in enumerate(zip(center, width, strict=True)):
        lines += [f"(assert (>= X_{i} {middle - half:.4f}))", f"(assert (<= X_{i} {middle + half:.4f}))"]
    prop = tmp_path / "prop.vnnlib"
    prop.write_text("\n".join([*lines, f"(assert (<= Y_0 {level:.6f}))"]))
    found = verify_file(path, prop, VerifyOptions())
    assert found.status == ("sat" if share > 0 else "unsat")
    if found.witness is not None:
        assert found.witness.shape == (1, size)
        assert float(Replay.of(path)(found.witness)[0, 0]) <= level


def test_inputs_of_several_types_or_half_an_axis_of_examples_are_refused(tmp_path):
    mixed = file([[1, 2], [1, 2]], tmp_path / "mixed.onnx", kinds=[TensorProto.FLOAT, TensorProto.DOUBLE])
    with pytest.raises(UnsupportedError, match="of one type"):
        inradius.load_model(str(mixed))
    with pytest.raises(UnsupportedError, match="for all of them or for none"):
        inradius.load_model(str(file([["n", 2], [3]], tmp_path / "half.onnx")))
