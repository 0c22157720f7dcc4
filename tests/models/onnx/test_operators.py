"""Each operator of the reader, in graphs drawn at random: onnxruntime's numbers, or a refusal that names the node."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_cases import agrees, outputs_of_runtime, runtime, session
from onnx_nodes import CASES, drawn, save

from inradius.errors import InradiusError, UnsupportedError
from inradius.models.onnx.operators import OPERATORS
from inradius.models.onnx.read import read_onnx

# of these, many draws are refused: reshapes that mix examples, and what onnxruntime refuses as well
RARE = ("Reshape", "Flatten", "MaxPool", "AveragePool", "LpPool")


def test_every_operator_is_drawn():
    assert set(OPERATORS) <= set(CASES)


def refused_by_runtime(file, shape):
    """True where onnxruntime makes nothing of the file."""
    import torch

    errors = (
        getattr(runtime().capi.onnxruntime_pybind11_state, name)
        for name in ("Fail", "InvalidGraph", "RuntimeException")
    )
    more = (
        runtime().capi.onnxruntime_pybind11_state.InvalidArgument,
        runtime().capi.onnxruntime_pybind11_state.NotImplemented,
    )
    try:
        session(file)
        outputs_of_runtime(file, torch.randn(1, *shape))
    except (*errors, *more):
        return True
    return False


def holds(name, seed, folder):
    """Checks one graph; True if its numbers are those of onnxruntime, False if both or the reader alone refuse it in words."""
    model, shape = drawn(name, random.Random(seed))
    file = save(model, folder / f"{seed}.onnx")
    if refused_by_runtime(file, shape):
        with pytest.raises(InradiusError, match=r"node|output"):
            read_onnx(file)
        return False
    try:
        agrees(file)
    except UnsupportedError as error:
        return "node 'the_" not in str(error) and "output" not in str(error)
    return True


@pytest.mark.parametrize("name", CASES)
def test_an_operator_is_that_of_onnxruntime_or_is_refused(name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    held = [holds(name, seed, folder) for seed in range(4 if name in RARE else 2)]
    assert any(held)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@given(seed=st.integers(0, 2**32))
def test_no_draw_of_an_operator_is_read_in_another_way(name, seed, tmp_path_factory):
    holds(name, seed, tmp_path_factory.getbasetemp())
