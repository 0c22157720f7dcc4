"""Networks in files and of other libraries, normalised and selected by specs, equal those that Python would build."""

import sys
from types import SimpleNamespace

import pytest
import torch
from cli_cases import complaint, write
from torch import nn

import inradius
from inradius import InputError, SpecError, UnsupportedError
from inradius.cli import run

CODE = """
import torch
from torch import nn

def body():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 3))

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = body()

    def forward(self, x):
        return {"aux": x, "scores": self.body(x)}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "own.py").write_text(CODE)
    return tmp_path / "own.py"


def test_normalized_is_the_layer_before_the_network(file, tmp_path):
    x = torch.rand(4, 6)
    model = inradius.load_model(f"normalized('{file}:body', mean=0.4, std=0.2)")
    plain = inradius.load_model(f"{file}:body")
    torch.testing.assert_close(model(x), plain((x - 0.4) / 0.2))
    torch.save({"state_dict": {f"module.{k}": v + 1 for k, v in plain.state_dict().items()}}, tmp_path / "w.pt")
    for spec, weights in (
        (f"normalized('{file}:body', mean=0.4, std=0.2)", tmp_path / "w.pt"),
        (f"normalized('{file}:body', mean=0.4, std=0.2, weights='{tmp_path / 'w.pt'}')", None),
    ):
        assert torch.equal(inradius.load_model(spec, weights)[1][1].bias, plain[1].bias + 1)
    coloured = inradius.load_model("normalized(mlp(12, 2), mean=(0.1, 0.2, 0.3), std=(1, 1, 2))")
    assert coloured(torch.rand(2, 3, 2, 2)).shape == (2, 2)


def test_selected_is_that_output(file):
    x = torch.rand(4, 6)
    model = inradius.load_model(f"selected('{file}:Two', output='scores')")
    torch.testing.assert_close(model(x), inradius.load_model(f"{file}:Two")(x)["scores"])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("normalized(mlp(6, 3), mean=0, std=0)", "std=0 is not allowed"),
        ("normalized(mlp(6, 3), mean=(1, 2), std=(1, 2, 3))", "mean has 2 channels and std has 3"),
        ("normalized(3, mean=0, std=1)", "the model is a int; allowed is a model's spec"),
        ("normalized(mlp(6, 3), mean=0, std=1, weights='w.pt')", "weights are given beside a model that is made"),
        ("normalized('absent.py:f', mean=0, std=1)", "there is no file absent.py"),
        ("selected(mlp(6, 3), output=1.5)", "output=1.5 is not allowed"),
        ("torchscript('absent.pt')", "there is no file absent.pt"),
        ("timm('resnet18')", "needs the package timm, which is not installed; pip install timm"),
    ],
)
def test_refusals_on_the_command_line(tmp_path, monkeypatch, capsys, spec, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "timm", None)
    asked = write(tmp_path)
    assert said in complaint(capsys, "attack", "--model", spec, *asked[2:], "--threat", "linf(eps=0.1)")


def test_a_command_names_the_output_that_it_wants(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["attack", *write(tmp_path)[2:], "--threat", "linf(eps=0.1)", "--attack", "fgsm"]
    assert "selected(MODEL, output='aux')" in complaint(capsys, *asked, "--model", f"{file}:Two")
    assert run([*asked, "--model", f"selected('{file}:Two', output='scores')"]) == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_attacked_with_a_warning_and_refused_by_certifiers(tmp_path):
    model, x = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).eval(), torch.rand(3, 4)
    torch.jit.trace(model, x).save(str(tmp_path / "net.pt"))
    with pytest.warns(UserWarning, match="runs the program in .* someone you trust; attacks take it"):
        program = inradius.load_model(f"torchscript('{tmp_path / 'net.pt'}')")
    torch.testing.assert_close(program(x), model(x))
    y = model(x).argmax(1)
    ours, own = (inradius.attack(each, x, y, "linf(eps=0.3)", "pgd(steps=5)") for each in (program, model))
    torch.testing.assert_close(ours.delta, own.delta)
    with pytest.raises(inradius.UnsupportedError, match="TorchScript"):
        inradius.make("crown", inradius.Certifier)(program, x, y, inradius.make("linf(eps=0.3)", inradius.ThreatModel))
    (tmp_path / "no.pt").write_bytes(b"none")
    with pytest.warns(UserWarning, match="trust"), pytest.raises(InputError, match="is no TorchScript program"):
        inradius.load_model(f"torchscript('{tmp_path / 'no.pt'}')")


def library(**told):
    def create_model(name, pretrained, num_classes=10):
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, num_classes))
        model.pretrained_cfg = told
        return model

    return SimpleNamespace(is_model=lambda name: name == "net", create_model=create_model)


def test_timm_normalises_as_it_states(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", library(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1)))
    model = inradius.load_model("timm('net', classes=4)")
    x = torch.rand(2, 3, 2, 2)
    moved = (x - torch.tensor([0.5, 0.4, 0.3]).view(-1, 1, 1)) / torch.tensor([0.2, 0.2, 0.1]).view(-1, 1, 1)
    torch.testing.assert_close(model(x), model[1](moved))
    assert isinstance(inradius.load_model("timm('net', normalize=False)")[1], nn.Linear)
    with pytest.raises((InputError, SpecError), match="timm has no model 'other'"):
        inradius.load_model("timm('other')")
    monkeypatch.setitem(sys.modules, "timm", library())
    with pytest.raises((InputError, UnsupportedError), match="states no normalisation of 'net'"):
        inradius.load_model("timm('net')")
