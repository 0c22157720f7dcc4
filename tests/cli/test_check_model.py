"""``inradius check-model`` says what is understood of a model, and each refusal says what is allowed."""

import numpy as np
import pytest
import torch
from cli_cases import complaint, write
from torch import nn

import inradius
from inradius.bracketing.model_cost import model_cost
from inradius.cli import run


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path)


def said(capsys, *arguments):
    assert run(["check-model", *arguments]) == 0
    return capsys.readouterr().out


def test_what_is_understood(asked, capsys):
    out = said(capsys, *asked)
    data = inradius.make(asked[3])
    right = (inradius.load_model(asked[1])(data.inputs).argmax(1) == data.labels).double().mean()
    assert f"{100 * float(right):.1f} % of 40 examples, clean" in out
    for part in (
        "Sequential, 83 parameters in float32",
        "(6,) in float32, values from ",
        "output    3 classes",
        "MiB an image",
    ):
        assert part in out
    for method in ("fgsm", "pgd", "interval", "crown"):
        assert any(line.startswith(method) and " yes " in f"{line} " for line in out.splitlines())


def test_the_operator_that_stops_a_certifier_is_named(asked, capsys, tmp_path):
    out = " ".join(said(capsys, "--model", f"{tmp_path / 'net.py'}:hardshrink", "--shape", "6").split())
    assert "tried with values in [0, 1]" in out
    assert "hardshrink" in out.lower()
    assert " no " in out


def test_an_outcome_and_a_stated_shape(asked, capsys, tmp_path):
    (tmp_path / "one.py").write_text("from torch import nn\ndef one(): return nn.Sequential(nn.Linear(6, 1))\n")
    np.savez("two.npz", inputs=np.random.default_rng(0).random((8, 6), dtype=np.float32), labels=np.arange(8) % 2)
    one = ["--model", "one.py:one"]
    assert "outcome='binary'" in complaint(capsys, "check-model", *one, "--data", "npz:two.npz")
    assert "for binary" in said(capsys, *one, "--data", "npz:two.npz", "--outcome", "binary")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "the shape of inputs is not known; allowed are --data SPEC, or --shape"),
        (["--shape", "6,0"], "--shape 6,0 is no shape"),
        (["--shape", "six"], "--shape six is no shape"),
        (["--shape", "6", "--outcome", "top_k(k=2)"], "needs labels; give --data SPEC"),
        (["--shape", "7"], "the model cannot take 1 inputs of shape (7,)"),
        (["--shape", "6", "--attack", "linf(eps=1)"], "makes a ThreatModel, but an Attack is needed here"),
    ],
)
def test_refusals(asked, capsys, options, sentence):
    assert sentence in complaint(capsys, "check-model", *asked[:2], *options)


def test_the_bytes_of_a_gradient_are_counted_once():
    # a linear layer keeps nothing but its weights for the gradient in its input, and a ReLU keeps its result
    model = nn.Sequential(nn.Linear(4, 100), nn.ReLU(), nn.Linear(100, 2))
    assert model_cost(model, torch.rand(8, 4)).bytes == 100 * 4
