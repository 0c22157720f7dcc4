"""What torch exports is read as onnxruntime reads it, has torch's values, and torch's bounds."""

import pytest
import torch
from onnx_cases import agrees, exported
from onnx_models import models

import inradius
from inradius.outcomes.property import Property

MODELS = models()
OPSETS = (9, 11, 12, 13, 14, 15, 16, 17, 18, 20)
NOT_EXPORTED = (torch.onnx.errors.UnsupportedOperatorError, torch.onnx.errors.SymbolicValueError, RuntimeError)
# before operator set 11, resizing knows no centres of pixels
OTHERWISE = ("unet bilinear", "unet bicubic")
BOUNDED = [
    "cnn",
    "resnet",
    "mobilenet",
    "densenet",
    "unet transposed",
    "unet bilinear",
    "vit",
    "lstm",
    "gru",
    "pools ceil",
    "gelu",
    "activations two",
]


def written(name, folder, opset, *, free):
    model, shape = MODELS[name]
    names = {"input_names": ["x"], "output_names": ["y"], "opset_version": opset}
    if free:
        names["dynamic_axes"] = {"x": {0: "n"}, "y": {0: "n"}}
    return exported(model, torch.randn(2 if free else 1, *shape), folder / "net.onnx", **names)


def check(name, folder, opset, *, free):
    network = agrees(written(name, folder, opset, free=free))
    model, shape = MODELS[name]
    x = torch.randn(3, *shape)
    if opset < 11 and name in OTHERWISE:
        return
    with torch.no_grad():
        torch.testing.assert_close(network(x), model(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("place", range(len(MODELS)), ids=list(MODELS))
def test_exports_are_read_as_onnxruntime_reads_them(place, tmp_path):
    name = list(MODELS)[place]
    check(name, tmp_path, 17 if place % 2 else 14, free=place % 4 > 1)


@pytest.mark.slow
@pytest.mark.parametrize("free", [False, True], ids=["one example", "any number"])
@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", MODELS)
def test_exports_of_every_operator_set_are_read(name, opset, free, tmp_path):
    try:
        written(name, tmp_path, opset, free=free)
    except NOT_EXPORTED:
        assert opset < 14
    else:
        check(name, tmp_path, opset, free=free)


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_are_those_of_the_network_of_torch(name, tmp_path):
    model, shape = MODELS[name]
    network = agrees(written(name, tmp_path, 17, free=True))
    x, threat = (
        0.5 * torch.randn(2, *shape).double(),
        inradius.make("linf(eps=0.001, bounds=None)", inradius.ThreatModel),
    )
    flat = [torch.nn.Sequential(each.double(), torch.nn.Flatten()).eval() for each in (model, network)]
    outputs = min(flat[0](x).shape[1], 6)
    rows = torch.eye(outputs, flat[0](x).shape[1]).double().expand(2, -1, -1)
    prop = Property(rows, torch.zeros(2, outputs).double())
    crown = inradius.make("crown", inradius.Certifier)
    try:
        wanted, found = (crown(each, x, None, threat, prop=prop).lower for each in flat)
    finally:
        model.float()
    # the exporter folds batch norms into weights in single precision
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
