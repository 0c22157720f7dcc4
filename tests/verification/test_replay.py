"""The replay by onnxruntime, and answers where it is not installed."""

import sys

import pytest
import torch
from verify_cases import box_text, network, onnx_file

from inradius import InputError, UnsupportedError
from inradius.verification.replay import Replay
from inradius.verification.verify_file import VerifyOptions, verify_file
from inradius.verification.vnnlib.query import read_query

pytest.importorskip("onnxruntime")


def test_the_replay_is_the_network(tmp_path):
    model = network(5, inputs=3)
    replay = Replay.of(onnx_file(model, tmp_path / "net.onnx"))
    points = torch.randn(4, 3)
    for point in torch.split(points, 1):
        torch.testing.assert_close(replay(point), model(point))


@pytest.mark.parametrize("names", [["n", 1, 2, 2], [1, 1, 2, 2], ["n", "c", "h", "w"], [4], [1, 4]])
def test_the_input_takes_the_shape_of_the_file(names, tmp_path):
    from onnx import TensorProto, helper, save

    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, names) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", made[:1], made[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "net.onnx")
    point = torch.tensor([1.0, -2.0, 3.0, -4.0]).view(1, 1, 2, 2)
    assert Replay.of(tmp_path / "net.onnx")(point).tolist() == [[1.0, 0.0, 3.0, 0.0]]


def test_a_file_that_it_refuses_is_told_in_a_sentence(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match="onnxruntime refuses") as error:
        Replay.of(tmp_path / "net.onnx")
    assert "\n" not in str(error.value)
    replay = Replay.of(onnx_file(network(), tmp_path / "net.onnx"))
    with pytest.raises(InputError, match="cannot replay"):
        replay(torch.zeros(1, 7))


def test_without_it_the_model_alone_decides(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    path = onnx_file(network(), tmp_path / "net.onnx")
    (tmp_path / "prop.vnnlib").write_text(box_text((0, 0), (1, 1)) + "(assert (<= Y_0 1000))")
    assert Replay.of(path) is None
    assert verify_file(path, tmp_path / "prop.vnnlib", VerifyOptions()).status == "sat"


def test_without_the_package_version_2_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vnnlib", None)
    (tmp_path / "prop.vnnlib").write_text("(vnnlib-version <2.0>)")
    with pytest.raises(UnsupportedError, match=r"inradius\[verify\]"):
        read_query(tmp_path / "prop.vnnlib")
