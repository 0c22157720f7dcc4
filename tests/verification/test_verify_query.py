"""Networks against properties in files: witnesses lie in the region of the decimals, and are unsafe as they are replayed."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from exact_fractions import laws
from hypothesis import given
from hypothesis import strategies as st
from verify_cases import box_text, grid, network, onnx_file
from vnnlib_reference import Reference

from inradius import InputError, UnsupportedError, make
from inradius.verification.clock import Clock
from inradius.verification.replay import Replay
from inradius.verification.verify_file import VerifyOptions, verify_file
from inradius.verification.verify_query import verify_query
from inradius.verification.vnnlib.query import Query
from inradius.verification.vnnlib.version1 import statement_of

SEEDS = st.integers(0, 10**6)


def answered(model, text, replay=None, seconds=1):
    query = Query.of(statement_of(text))
    options = {"certifier": make("crown"), "claim": "float", "replay": replay}
    return verify_query(model, query, Clock(seconds), shape=(query.inputs,), dtype=model[0].weight.dtype, **options)


def unsafe(text, result):
    """True where a second reader finds the witness unsafe in exact arithmetic."""
    x, y = ([Fraction(v) for v in side.flatten().tolist()] for side in (result.witness, result.outputs))
    return Reference(text).unsafe(x, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@laws(8)
@given(seed=SEEDS)
def test_no_answer_is_wrong(dtype, seed):
    rng = np.random.default_rng(seed)
    model = network(seed, dtype=dtype)
    low = rng.normal(size=2).round(3)
    high = (low + rng.random(2)).round(3)
    level = round(float(model(grid(low, high).to(dtype))[:, 0].min()) + rng.normal() * 0.3, 3)
    kinds = [
        f"(assert (<= Y_0 {level}))",
        f"(assert (or (<= Y_0 {level}) (and (>= Y_1 {level}) (<= Y_1 (+ Y_0 X_1)))))",
        f"(assert (or (and (<= X_0 {low[0]}) (<= Y_0 {level})) (and (>= X_1 {high[1]}) (>= (- Y_0 Y_1) {level + 2}))))",
    ]
    text = box_text(low, high) + kinds[seed % 3]
    result, reference = answered(model, text), Reference(text)
    if result.status == "sat":
        assert unsafe(text, result)
    if result.status == "unsat":
        points = grid(low, high, 15)
        for x, y in zip(points.tolist(), model.double()(points).tolist(), strict=True):
            assert not reference.unsafe(list(map(Fraction, x)), list(map(Fraction, y)))


def test_an_input_that_floats_do_not_hold_has_no_witness():
    model = network()
    sure = "(assert (<= Y_0 1000))"
    assert answered(model, box_text((0.1, 0), (0.1, 1)) + sure, seconds=0.3).status in ("unknown", "timeout")
    result = answered(model, box_text((0.125, 0), (0.125, 1)) + sure)
    assert result.status == "sat"
    assert result.witness[0, 0].item() == 0.125


def test_a_region_that_is_unsafe_whatever_the_outputs_are():
    text = box_text((0, 0), (1, 1)) + "(assert (or (>= X_0 0.5) (<= Y_0 -1000)))"
    result = answered(network(), text)
    assert result.status == "sat"
    assert unsafe(text, result)


def test_a_strict_bound_is_kept_by_the_witness():
    text = box_text((0, 0), (1, 1)) + "(assert (< X_0 0.0000001)) (assert (> X_0 0)) (assert (<= Y_0 1000))"
    result = answered(network(), text)
    assert result.status == "sat"
    assert unsafe(text, result)


def test_several_cases_are_all_proved_or_one_is_refuted():
    model = network()
    least, most = (float(f(model(grid((0, 0), (1, 1)).float())[:, 0])) for f in (torch.min, torch.max))
    both = "(assert (or (and (<= X_0 0.5) (<= Y_0 {})) (and (>= X_0 0.5) (>= Y_0 {}))))"
    proved = answered(model, box_text((0, 0), (1, 1)) + both.format(least - 20, most + 20))
    assert (proved.status, proved.claim) == ("unsat", "float")
    assert proved.bound > 0
    text = box_text((0, 0), (1, 1)) + both.format(least - 20, least)
    result = answered(model, text)
    assert result.status == "sat"
    assert unsafe(text, result)
    assert result.witness[0, 0] >= 0.5


def test_a_replay_that_disagrees_is_no_witness():
    text = box_text((0, 0), (1, 1)) + "(assert (<= Y_0 1000))"
    assert answered(network(), text, replay=lambda x: torch.full((1, 2), 2000.0), seconds=0.3).status != "sat"
    assert answered(network(), text, replay=lambda x: torch.full((1, 2), torch.nan), seconds=0.3).status != "sat"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_file_is_replayed_by_onnxruntime(dtype, tmp_path):
    pytest.importorskip("onnxruntime")
    path = onnx_file(network(3, dtype=dtype), tmp_path / "net.onnx")
    (tmp_path / "prop.vnnlib").write_text(text := box_text((0, 0), (1, 1)) + "(assert (>= (- Y_0 Y_1) -100))")
    result = verify_file(path, tmp_path / "prop.vnnlib", VerifyOptions(timeout=10))
    assert result.status == "sat"
    assert unsafe(text, result)
    assert torch.equal(Replay.of(path)(result.witness), result.outputs)


def test_sizes_that_do_not_fit_are_refused_in_a_sentence(tmp_path):
    path = onnx_file(network(), tmp_path / "net.onnx")
    for text, told in (
        (box_text((0,), (1,)), "about 1 inputs"),
        (box_text((0, 0), (1, 1), outputs=3), "about 3 outputs"),
    ):
        (tmp_path / "prop.vnnlib").write_text(f"{text}(assert (<= Y_0 0))")
        with pytest.raises(InputError, match=told):
            verify_file(path, tmp_path / "prop.vnnlib", VerifyOptions())


class Shaped(torch.nn.Module):
    """The sum of an example's inputs as a number without an axis, or its inputs as whole numbers."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        return x.flatten(1).sum(1) if self.kind == "sum" else x.long()


def asked(model, text, shape):
    options = {"shape": shape, "dtype": torch.float32, "certifier": make("crown"), "claim": "float"}
    return verify_query(model, Query.of(statement_of(text)), Clock(5), **options)


def test_an_output_without_an_axis_is_one_output():
    text = box_text((0, 0), (1, 1), outputs=1)
    assert asked(Shaped("sum"), f"{text}(assert (>= (+ Y_0 X_0) 3.5))", (2,)).status == "unsat"
    result = asked(Shaped("sum"), f"{text}(assert (>= (+ Y_0 X_0) 2.5))", (2,))
    assert result.status == "sat"
    assert unsafe(f"{text}(assert (>= (+ Y_0 X_0) 2.5))", result)


def test_inputs_without_an_axis_and_whole_numbers_are_refused_in_a_sentence():
    text = box_text((0,), (1,), outputs=1) + "(assert (>= Y_0 2))"
    with pytest.raises(UnsupportedError, match="a number without an axis"):
        asked(Shaped("sum"), text, ())
    with pytest.raises(UnsupportedError, match=r"returns torch\.int64"):
        asked(Shaped("whole"), text, (1,))
