"""Properties of the competition of 2021: no answer contradicts a replayed witness, the majority of the tools, or exact numbers."""

import csv
import itertools
import os
from fractions import Fraction
from pathlib import Path

import pytest

from inradius.verification.verify_file import VerifyOptions, verify_file
from inradius.verification.vnnlib.query import read_query

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FOLDER = Path(os.environ.get("INRADIUS_REFERENCE_DATA", "")) / "vnncomp2021"
pytestmark = pytest.mark.skipif(
    "INRADIUS_REFERENCE_DATA" not in os.environ,
    reason="INRADIUS_REFERENCE_DATA names no folder with published networks",
)


def published():
    """What the tools of the competition answered: category, network, property, and the counts of unsat and sat."""
    path = FOLDER / "expected.csv"
    return list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []


def answered(folder, network, prop, seconds):
    paths = (path for path in (FOLDER / folder / prop, FOLDER / folder / f"{prop}.gz") if path.exists())
    path = next(paths)
    result = verify_file(FOLDER / folder / network, path, VerifyOptions(timeout=seconds))
    if result.status == "sat":
        # the judge of the verification compares with the same file; this is the reading of the file again
        x, y = ([Fraction(v) for v in side.flatten().tolist()] for side in (result.witness, result.outputs))
        assert read_query(path).holds(x, y)
    return result.status


@pytest.mark.parametrize(
    ("network", "prop", "status"),
    [
        ("test_sat.onnx", "test_prop.vnnlib", "sat"),
        ("test_unsat.onnx", "test_prop.vnnlib", "unsat"),
        ("test_nano.onnx", "test_nano.vnnlib", "unsat"),
    ],
)
def test_the_small_instances_have_their_answers(network, prop, status):
    assert answered("test", network, prop, 60) == status


@pytest.mark.parametrize("name", ["test_tiny", "test_small"])
def test_networks_of_one_input_against_their_exact_maximum(name):
    query = read_query(FOLDER / "test" / f"{name}.vnnlib")
    ((low,), (high,)) = query.cases[0].lower, query.cases[0].upper
    unsafe = any(query.holds([x], y) for x, y in corners(layers(FOLDER / "test" / f"{name}.onnx"), low, high))
    assert answered("test", f"{name}.onnx", f"{name}.vnnlib", 60) == ("sat" if unsafe else "unsat")


def layers(path):
    """Weights and biases of a file of MatMul, Add and Relu, as fractions."""
    import onnx
    from onnx import numpy_helper

    arrays = {t.name: numpy_helper.to_array(t).tolist() for t in onnx.load(path).graph.initializer}
    for k in range(len(arrays) // 2):
        yield [list(map(Fraction, row)) for row in arrays[f"W{k}"]], list(map(Fraction, arrays[f"B{k}"]))


def corners(network, low, high):
    """The ends of all pieces on which the network is linear, with its outputs there."""
    points = [(low, [low]), (high, [high])]
    for depth, (weights, bias) in enumerate(network):
        if depth:
            points = [(x, [max(v, Fraction(0)) for v in values]) for x, values in _kinks(points)]
        points = [
            (x, [sum(map(Fraction.__mul__, row, values)) + b for row, b in zip(weights, bias, strict=True)])
            for x, values in points
        ]
    return points


def _kinks(points):
    """The points, and those between them at which a value crosses 0."""
    found = list(points)
    for (a, first), (b, last) in itertools.pairwise(points):
        for u, v in zip(first, last, strict=True):
            if u * v < 0:
                share = u / (u - v)
                found.append((a + share * (b - a), [p + share * (q - p) for p, q in zip(first, last, strict=True)]))
    return sorted(found)


@pytest.mark.slow
@pytest.mark.parametrize("row", published(), ids=lambda row: f"{row['network']}-{row['property']}")
def test_no_answer_contradicts_the_tools(row):
    status = answered(row["category"], row["network"], row["property"], 30)
    unsat, sat = int(row["tools_unsat"]), int(row["tools_sat"])
    # a replayed witness is right whatever the tools say
    assert status in ("sat", "unknown", "timeout", "unsat" if unsat >= sat else "sat")
