"""What the reader refuses: one sentence that names the file or the node, and exit code 2 on the command line."""

import os
import sys

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from onnx_cases import agrees
from onnx_nodes import Case, save

from inradius.cli import run
from inradius.errors import InputError, InradiusError, UnsupportedError
from inradius.models.load import load_model
from inradius.models.onnx.read import read_onnx


def graph(shape=(4,), opset=17):
    """An empty graph with an input of this shape."""
    case = Case(None, opset)
    return case, list(shape)


def refusal(model, folder, kind=InradiusError):
    """The sentence that refuses a model."""
    file = save(model, folder / "net.onnx")
    with pytest.raises(kind) as caught:
        read_onnx(file)
    said = str(caught.value)
    assert "\n" not in said
    assert "net.onnx" in said
    return said


def linear(weight="w0"):
    case, shape = graph()
    case.store(np.eye(4, dtype=np.float32))
    return case, shape, case.add("MatMul", "x", weight)


BOMBS = {
    "ConstantOfShape": lambda case: case.add("Add", "x", case.add("ConstantOfShape", case.ints([2**20, 2**20]))),
    "Expand": lambda case: case.add("Expand", "x", case.ints([2**40, 1, 4])),
    "Tile": lambda case: case.add("Tile", "x", case.ints([1, 2**40])),
    "Pad": lambda case: case.add("Pad", "x", case.ints([0, 2**40, 0, 0])),
    "Range": lambda case: case.add("Range", case.ints(0), case.ints(2**50), case.ints(1)),
    "OneHot": lambda case: case.add("OneHot", case.ints([0]), case.ints(2**40), case.store(np.zeros(2, dtype=np.float32))),
    "Resize": lambda case: case.add("Resize", "x", "", case.store(np.array([1, 1e15], dtype=np.float32))),
    "MatMul": lambda case: case.add(
        "MatMul", case.add("ConstantOfShape", case.ints([2**20, 1])), case.add("ConstantOfShape", case.ints([1, 2**20]))
    ),
    "Add": lambda case: case.add(
        "Add", case.add("ConstantOfShape", case.ints([2**20, 1])), case.add("ConstantOfShape", case.ints([1, 2**20]))
    ),
    "Gather": lambda case: case.add(
        "Gather", case.add("ConstantOfShape", case.ints([1, 2**20])), case.store(np.zeros(2**10, dtype=np.int64))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_sizes_are_checked_before_memory_is_taken(name, tmp_path):
    import resource

    case, shape = graph()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = refusal(case.model(shape, case.add("Add", "x", BOMBS[name](case))), tmp_path)
    assert f"({name})" in said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 500_000


@pytest.mark.parametrize(("length", "scale"), [(10, 0.7), (9, 1.1)])
def test_a_scale_that_readers_of_the_format_take_differently_is_refused(length, scale, tmp_path):
    case, shape = graph((1, length))
    scales = case.store(np.array([1, 1, scale], dtype=np.float32))
    said = refusal(case.model(shape, case.add("Resize", "x", "", scales, mode="nearest")), tmp_path)
    assert "readers of the format disagree" in said


def test_the_first_nearest_places_are_rounded_up_in_smaller_images(tmp_path):
    """The example of operator set 10 in the format's own tests."""
    case, shape = graph((1, 2, 4), opset=10)
    scales = case.store(np.array([1, 1, 0.6, 0.6], dtype=np.float32))
    file = save(case.model(shape, case.add("Resize", "x", scales, mode="nearest")), tmp_path / "net.onnx")
    x = torch.arange(1.0, 9.0).view(1, 1, 2, 4)
    assert read_onnx(file)(x).flatten().tolist() == [1.0, 3.0]
    agrees(file)


def test_values_that_grow_step_by_step_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("inradius.models.onnx.build.MOST_HELD", 10**5)
    case, shape = graph((1, 256))
    last, kept = "x", []
    for _ in range(6):
        last = case.add("Tile", last, case.ints([1, 1, 4]))
        kept.append(last)
    assert "asks for too much" in refusal(case.model(shape, case.add("Concat", *kept, axis=2)), tmp_path)


def test_convolutions_with_huge_margins_are_refused(tmp_path):
    case, shape = graph((1, 4, 4))
    weight = case.store(np.ones((1, 1, 1, 1), dtype=np.float32))
    assert "(Conv)" in refusal(case.model(shape, case.add("Conv", "x", weight, pads=[2**30] * 4)), tmp_path)


def test_huge_inputs_are_refused(tmp_path):
    case, _ = graph()
    assert "too large" in refusal(case.model([2**40], case.add("Relu", "x")), tmp_path)


@pytest.mark.parametrize(
    ("dims", "raw"), [([2**40], 16), ([2**62, 2**62], 16), ([0, 2**62], 0), ([-1, 4], 16), ([5], 16), ([1] * 40, 4)]
)
def test_weights_have_the_size_that_the_file_announces(dims, raw, tmp_path):
    case, shape, out = linear()
    del case.stored[0].dims[:]
    case.stored[0].dims.extend(dims)
    case.stored[0].raw_data = b"\0" * raw
    assert "'w0'" in refusal(case.model(shape, out), tmp_path, InputError)


def test_graphs_stand_in_an_order_and_make_each_name_once(tmp_path):
    case, shape = graph()
    case.add("Relu", "v1")
    assert "nothing before it makes" in refusal(case.model(shape, case.add("Relu", "v0")), tmp_path)
    case, shape = graph()
    case.add("Relu", "x")
    case.count = 0
    assert "as well" in refusal(case.model(shape, case.add("Sigmoid", "x")), tmp_path)
    case, shape, out = linear("w7")
    assert "'w7'" in refusal(case.model(shape, out), tmp_path)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (("Relu", "x"), None),
        (("Relu", "x", "x"), "2 inputs"),
        (("QuantizeLinear", "x", "w0"), "QuantizeLinear"),
        (("DynamicQuantizeLinear", "x"), "outputs"),
        (("RandomNormalLike", "x"), "RandomNormalLike"),
        (("NoSuchThing", "x"), "NoSuchThing"),
        (("SiLU", "x"), "SiLU"),
        (("Add", "x", "w1"), "float32 and int64"),
        (("MatMul", "x", "w2"), "cannot be computed"),
        (("ReduceMean", "x"), "mixes the examples"),
        (("Softmax", "x"), None),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_nodes_are_named(node, said, tmp_path):
    case, shape = graph()
    case.store(np.ones((), dtype=np.float32))
    case.ints([1, 2, 3, 4])
    case.store(np.ones((3, 3), dtype=np.float32))
    model = case.model(shape, case.add(*node))
    if said is None:
        agrees(save(model, tmp_path / "net.onnx"))
    else:
        refused = refusal(model, tmp_path)
        assert said in refused
        assert f"node 'the_{node[0]}_1'" in refused


def test_unknown_attributes_and_types_are_named(tmp_path):
    case, shape = graph()
    assert "'betas'" in refusal(case.model(shape, case.add("Elu", "x", betas=1.0)), tmp_path)
    case, shape = graph()
    assert "'alpha'" in refusal(case.model(shape, case.add("Elu", "x", alpha="one")), tmp_path)
    case, shape = graph()
    assert "'to'" in refusal(case.model(shape, case.add("Cast", "x")), tmp_path)


def test_other_domains_and_versions_are_refused(tmp_path):
    case, shape = graph()
    assert "com.microsoft" in refusal(case.model(shape, case.add("Gelu", "x", domain="com.microsoft")), tmp_path)
    for opset in (6, 22, 2**40):
        case, shape = graph(opset=opset)
        assert "operator set" in refusal(case.model(shape, case.add("Relu", "x")), tmp_path, UnsupportedError)
    model = graph()[0].model([4], "x")
    model.ir_version = 99
    assert "IR version" in refusal(model, tmp_path)


def test_quantised_weights_and_other_types_are_refused(tmp_path):
    case, shape, out = linear()
    case.stored[0].data_type = TensorProto.INT8
    assert "'w0'" in refusal(case.model(shape, out), tmp_path)
    case.stored[0].CopyFrom(helper.make_tensor("w0", TensorProto.STRING, [1], ["a"]))
    assert "STRING" in refusal(case.model(shape, out), tmp_path)


def test_inputs_of_several_types_and_several_outputs_are_named(tmp_path):
    case, shape = graph()
    model = case.model(shape, case.add("Add", "x", "y"))
    model.graph.input.append(helper.make_tensor_value_info("y", TensorProto.DOUBLE, [1, 4]))
    assert "'x', 'y'" in refusal(model, tmp_path, UnsupportedError)
    case, shape = graph()
    model = case.model(shape, case.add("Relu", "x"))
    model.graph.output.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]))
    assert "'v0', 'x'" in refusal(model, tmp_path, UnsupportedError)


def test_outputs_are_what_the_file_announces(tmp_path):
    case, shape = graph()
    model = case.model(shape, case.add("Relu", "x"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1, 5]))
    assert "announced" in refusal(model, tmp_path, InputError)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"no network", bytes(range(256))])
def test_other_files_are_refused(content, tmp_path):
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"net\.onnx"):
        read_onnx(file)


def test_missing_files_and_folders_are_refused(tmp_path, capsys):
    (tmp_path / "folder.onnx").mkdir()
    for name in ("absent.onnx", "folder.onnx"):
        with pytest.raises(InputError, match="there is no file"):
            load_model(str(tmp_path / name))
    assert run(["bracket", "--model", str(tmp_path / "absent.onnx"), "--data", "digits()"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "absent.onnx" in said


def test_truncated_files_are_refused(tmp_path):
    case, shape, out = linear()
    whole = case.model(shape, out).SerializeToString()
    for length in range(0, len(whole), 7):
        file = tmp_path / "net.onnx"
        file.write_bytes(whole[:length])
        with pytest.raises(InradiusError, match=r"net\.onnx"):
            read_onnx(file)


def test_the_extra_is_named_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UnsupportedError, match=r"pip install \"inradius\[onnx\]\""):
        load_model(str(tmp_path / "net.onnx"))


def beside(folder, location, **more):
    """A network whose weights lie beside the file, at a location."""
    case, shape, out = linear()
    tensor = case.stored[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return case.model(shape, out)


def test_weights_may_lie_within_the_folder(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "weights").write_bytes(b"\1" * 8 + np.eye(4, dtype=np.float32).tobytes() + b"\1" * 5)
    model = beside(tmp_path, "below/weights", offset="8", length="64")
    agrees(save(model, tmp_path / "net.onnx"))
    for more in ({"offset": "14"}, {"length": "63"}, {"offset": "-1"}, {"offset": "x"}, {"length": str(2**62)}):
        assert "'w0'" in refusal(beside(tmp_path, "below/weights", **more), tmp_path, InputError)


@pytest.mark.parametrize(
    "location",
    ["../secret", "/etc/hostname", "link", "folder/../../secret", "", "absent", "folder", "a\\b", "deep/link", "fifo"],
)
def test_no_file_outside_of_the_folder_is_read(location, tmp_path):
    inside = tmp_path / "inside"
    (inside / "folder").mkdir(parents=True)
    (inside / "deep").symlink_to(tmp_path)
    secret = tmp_path / "secret"
    secret.write_bytes(np.eye(4, dtype=np.float32).tobytes())
    (tmp_path / "link").write_bytes(secret.read_bytes())
    (inside / "link").symlink_to(secret)
    os.mkfifo(inside / "fifo")
    assert "'w0'" in refusal(beside(inside, location), inside, InputError)


def test_branches_on_the_input_are_refused(tmp_path):
    branches = {
        name: helper.make_graph(
            [helper.make_node("Relu", ["x"], [f"{name}_out"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)],
        )
        for name in ("then_branch", "else_branch")
    }
    case, shape = graph()
    condition = case.add("Greater", case.add("ReduceSum", "x", case.ints([1]), keepdims=0), case.store(np.float32(0)))
    assert "branches on" in refusal(case.model(shape, case.add("If", condition, **branches)), tmp_path)
    case, shape = graph()
    condition = case.store(np.array(True))
    agrees(save(case.model(shape, case.add("If", condition, **branches)), tmp_path / "net.onnx"))


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_margins_around_a_part_of_the_input_are_refused(mode, tmp_path):
    """onnxruntime takes the part first and wraps that; other readers wrap the whole."""
    case, shape = graph(opset=19)
    said = refusal(case.model(shape, case.add("Pad", "x", case.ints([0, -1, 0, 1]), mode=mode)), tmp_path)
    assert f"in mode {mode}" in said


def test_stored_weights_that_are_announced_as_something_else_are_refused(tmp_path):
    for kind, shape, said in (
        (TensorProto.FLOAT, [4, 4], None),
        (TensorProto.FLOAT, ["n", 4], None),
        (TensorProto.DOUBLE, [4, 4], "another type"),
        (TensorProto.FLOAT, [16], "announced with shape"),
        (TensorProto.FLOAT, [4, 5], "announced with shape"),
        (117, [4, 4], "type 117"),
    ):
        case, size, out = linear()
        model = case.model(size, out)
        model.graph.input.append(helper.make_tensor_value_info("w0", kind, shape))
        if said is None:
            agrees(save(model, tmp_path / "net.onnx"))
        else:
            assert said in refusal(model, tmp_path)


def test_two_nodes_of_one_name_are_refused(tmp_path):
    case, shape, out = linear()
    model = case.model(shape, case.add("Relu", out))
    for node in model.graph.node:
        node.name = "same"
    assert "two nodes of the name 'same'" in refusal(model, tmp_path)


def test_an_operator_with_a_line_end_is_named_in_one_line(tmp_path):
    case, shape, out = linear()
    model = case.model(shape, out)
    model.graph.node[0].op_type = "Mat\nMul"
    assert r"'Mat\nMul'" in refusal(model, tmp_path)
