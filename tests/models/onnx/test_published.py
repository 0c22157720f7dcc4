"""The networks of VNN-COMP 2021 are read as onnxruntime reads them, and certified as networks of torch are."""

import os
from pathlib import Path

import pytest
import torch
from onnx_cases import agrees

import inradius
from inradius.models.load import load_model

FOLDER = Path(os.environ.get("INRADIUS_REFERENCE_DATA", "")) / "vnncomp2021"
FILES = sorted(FOLDER.rglob("*.onnx")) if "INRADIUS_REFERENCE_DATA" in os.environ else []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_published_networks_are_those_of_onnxruntime(file):
    model = agrees(file, count=10)
    double = load_model(str(file)).double()
    x = torch.randn(4, *model.input_shape)
    torch.testing.assert_close(double(x.double()).float(), model(x), rtol=1e-4, atol=1e-4)
    assert model.outputs == model(x)[0].numel()


@pytest.mark.parametrize("file", FILES[:1] + FILES[3:5], ids=lambda file: file.stem)
def test_published_networks_have_bounds(file):
    model = load_model(str(file))
    x = torch.full((1, *model.input_shape), 0.25)
    crown = inradius.make("crown", inradius.Certifier)
    threat = inradius.make("linf(eps=0.001, bounds=None)", inradius.ThreatModel)
    objective = inradius.Property.ranges(torch.full((1, model.outputs), -1e3), torch.full((1, model.outputs), 1e3))
    certificate = crown(model, x, None, threat, prop=objective)
    assert bool(certificate.certified.all())
