"""The instances that both sides answer: an ONNX and a VNN-LIB file each.

``acasxu`` and ``mnistfc`` lie in the folder ``vnncomp2021``. ``oval`` is made here: the network ``cifar_oval_base.pth`` at the
images of ``cifar10_sdp100.npz`` that it classifies correctly, every other class, ℓ∞ within the box of pixels. As in the
benchmark oval21 its inputs are normalised pixels.
"""

import csv
import os
import sys
from pathlib import Path

import attrs
import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper, save

MEAN, STD = np.array((0.485, 0.456, 0.406)).reshape(3, 1, 1), 0.225
FAMILIES = ("acasxu", "mnistfc", "oval")


@attrs.frozen
class Instance:
    """A name, and the paths of a network and a property."""

    name: str
    network: Path
    prop: Path


def folder() -> Path:
    found = os.environ.get("INRADIUS_REFERENCE_DATA")
    if found is None:
        sys.exit("INRADIUS_REFERENCE_DATA is not set; it names the folder of the reference data")
    return Path(found)


def instances(family: str, place: Path, images: range, eps: list[float]) -> list[Instance]:
    """The instances of a family; files that are made for it lie in ``place``."""
    return oval(place, images, eps) if family == "oval" else competition(family)


def competition(family: str) -> list[Instance]:
    root = folder() / "vnncomp2021"
    with open(root / "expected.csv", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["category"] == family]
    files = {path.name.removesuffix(".gz"): path for path in (root / family).iterdir()}
    return [
        Instance(
            f"{row['network'].removesuffix('.onnx')} {row['property'].removesuffix('.vnnlib')}",
            files[row["network"]],
            files[row["property"]],
        )
        for row in rows
    ]


def oval(place: Path, images: range, eps: list[float]) -> list[Instance]:
    """The instances of the network at images, with each radius, in units of 1/255."""
    network, weights = (
        place / "oval.onnx",
        torch.load(folder() / "cifar_oval_base.pth", map_location="cpu", weights_only=True),
    )
    save(onnx_of({name: value.numpy() for name, value in weights.items()}), network)
    stored = np.load(folder() / "cifar10_sdp100.npz")
    predicted, made = predictions(network, stored["images"]), []
    for image in images:
        pixels, label = stored["images"][image] / 255, int(stored["labels"][image])
        for radius in eps if predicted[image] == label else ():
            prop = place / f"image{image}_{radius:g}.vnnlib"
            sides = [(np.clip(pixels + sign * radius / 255, 0, 1) - MEAN) / STD for sign in (-1, 1)]
            prop.write_text(vnnlib(sides[0].ravel(), sides[1].ravel(), label, 10))
            made.append(Instance(f"oval image {image} at {radius:g}/255", network, prop))
    return made


def predictions(network: Path, images: np.ndarray) -> list[int]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(network))
    rows = ((images / 255 - MEAN) / STD).astype(np.float32)
    return [int(session.run(None, {"x": row[None]})[0].argmax()) for row in rows]


def onnx_of(weights: dict[str, np.ndarray]):
    """Two convolutions of stride 2 and two dense layers with ReLUs between, as an ONNX model; weights are named by place."""
    pair, strides = (
        (lambda i: [f"{i}.weight", f"{i}.bias"]),
        {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1] * 4},
    )
    nodes = [
        helper.make_node("Conv", ["x", *pair(0)], ["a"], **strides),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", *pair(2)], ["c"], **strides),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", *pair(5)], ["f"], transB=1),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", *pair(7)], ["y"], transB=1),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 32, 32]), ("y", [1, 10]))
    ]
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "oval", ends[:1], ends[1:], initializer=stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def vnnlib(low: np.ndarray, high: np.ndarray, label: int, classes: int) -> str:
    """The property whose counterexamples lie within the sides and have another class at least as high as the label's."""
    lines = [f"(declare-const X_{i} Real)" for i in range(len(low))] + [
        f"(declare-const Y_{i} Real)" for i in range(classes)
    ]
    for i, (least, most) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        lines += [f"(assert (>= X_{i} {least:.12f}))", f"(assert (<= X_{i} {most:.12f}))"]
    others = " ".join(f"(and (<= Y_{label} Y_{other}))" for other in range(classes) if other != label)
    return "\n".join([*lines, f"(assert (or {others}))", ""])
