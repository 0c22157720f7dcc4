"""Brackets that ask an outcome: from end to end, again from their folder, with other labels, and where a certifier lies."""

import attrs
import numpy as np
import pytest
import torch
from bracket_toys import Corner, Cube, Exact, Liar, cloud, linear
from torch import nn

import inradius
from inradius import Dataset, InputError, LazyDataset, Outcome, Property, make
from inradius.bracketing.referee import rule
from inradius.cli import run as command

SET = "linf(eps=0.1)"


def network(*outputs):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, torch.Size(outputs).numel()))
    with torch.no_grad():
        layers[0].weight.mul_(2)
        layers[2].weight.mul_(2)
    return nn.Sequential(layers, nn.Flatten(0) if not outputs else nn.Unflatten(1, outputs)).eval()


def inputs(count=24):
    return torch.rand(count, 4, generator=torch.Generator().manual_seed(1))


def data(model, label, count=24):
    x = inputs(count)
    y = label(model(x).detach())
    return Dataset.of(x, y, classes=y.ndim == 1 and not y.is_floating_point())


# the outcome, the outputs of one example, and the labels for which they are right
QUESTIONS = [
    ("top_k(2)", (4,), lambda z: z.argmax(1)),
    ("never(1)", (3,), lambda z: z.argmax(1)),
    ("binary", (), lambda z: (z > 0).long()),
    ("multi_label", (3,), lambda z: z > 0),
    ("regression(0.15)", (2,), lambda z: z),
    ("regression(0.15)", (), lambda z: z),
    ("segmentation(1.0)", (2, 2, 2), lambda z: z.argmax(1)),
]


@pytest.mark.parametrize(("spec", "outputs", "label"), QUESTIONS, ids=lambda value: str(value)[:20])
def test_a_bracket_of_every_outcome(tmp_path, spec, outputs, label):
    model = network(*outputs)
    found = data(model, label)
    options = {"attacks": ["pgd(steps=10)", "square(queries=50)"], "certifiers": "crown", "outcome": spec, "audit": 1.0}
    report = inradius.bracket(model, found, SET, folder=tmp_path, batch_size=7, **options)
    assert 0 < report.lower <= report.upper <= report.clean
    assert report.clean == 1
    assert report.setting.outcome == make(spec, Outcome).spec(full=True)
    whole = found.labels.ndim == 1 and not found.labels.is_floating_point()
    assert [example.label for example in report.examples] == (found.labels.tolist() if whole else [None] * 24)
    again = inradius.bracket(model, found, SET, folder=tmp_path, **options)
    assert again.examples == report.examples == inradius.Report.load(tmp_path).examples
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "stay right by" in page
    assert ("By class" in page) == whole


def test_another_outcome_is_another_run(tmp_path):
    model = network(4)
    found = data(model, lambda z: z.argmax(1))
    keys = {
        inradius.bracket(
            model, found, SET, folder=tmp_path / str(n), attacks="fgsm", certifiers=(), **given
        ).setting.key
        for n, given in enumerate([{}, {"outcome": "top1"}, {"outcome": "top_k(2)"}, {"outcome": "top_k(3)"}])
    }
    assert len(keys) == 3


def test_top_1_of_1_is_top_k_of_1(tmp_path):
    model = network(4)
    found = data(model, lambda z: z.argmax(1))
    one, other = (
        inradius.bracket(model, found, SET, attacks="apgd", certifiers="crown", outcome=spec, folder=tmp_path / spec)
        for spec in ("top1", "top_k(1)")
    )
    assert (one.lower, one.clean) == (other.lower, other.clean)
    assert [e.clean_margin for e in one.examples] == [e.clean_margin for e in other.examples]


def test_a_false_certificate_of_an_outcome_stops_the_run(tmp_path):
    options = {
        "attacks": [Corner()],
        "certifiers": [Liar(doubt=0.0)],
        "folder": tmp_path,
        "outcome": "never(0)",
        "exhaustive": True,
    }
    with pytest.raises(inradius.ContradictionError, match="one of the two is wrong"):
        inradius.bracket(linear(), cloud(), Cube(eps=0.9), **options)


@attrs.frozen(kw_only=True)
class Swapped(Exact):
    """Proves the property of another outcome than the one that is asked for."""

    def lower_bound(self, model, x, threat, prop, rng):
        more = attrs.evolve(prop, offsets=prop.offsets + 10)
        return super().lower_bound(model, x, threat, more, rng)


def test_a_property_that_does_not_imply_the_outcome_stops_the_run(tmp_path):
    def margin(outputs, y):
        return outputs[:, 0] - outputs[:, 1]

    def wrong(y, outputs):
        weights = torch.tensor([[1.0, -1.0, 0.0]], dtype=outputs.dtype)
        return Property(weights.expand(len(y), 1, 3), outputs.new_full((len(y), 1), 5.0))

    outcome = inradius.outcome(margin, prop=wrong)
    options = {"attacks": ["pgd"], "certifiers": [Exact()], "folder": tmp_path, "outcome": outcome}
    with pytest.raises(inradius.ContradictionError, match="one of the two is wrong"):
        inradius.bracket(linear(), cloud(), Cube(eps=0.9), exhaustive=True, **options)


def test_the_referee_asks_the_outcome():
    model, y = network(4), torch.zeros(24, dtype=torch.int64)
    batch, outcome = Dataset.of(inputs(), y), make("top_k(2)", Outcome)
    found = rule(model, make(SET), batch, torch.zeros(24, 4), "nobody", outcome)
    margin = outcome.margin(model(inputs()), y)
    assert torch.equal(found.margin, margin)
    assert torch.equal(found.success, margin < 0)


def test_labels_may_be_read_later(tmp_path):
    model, x = network(2), inputs()
    y = model(x).detach()
    lazy = LazyDataset.of(x.numpy(), y.numpy(), classes=False)
    pairs = LazyDataset.of([(image, label) for image, label in zip(x, y, strict=True)], classes=False)
    assert torch.equal(pairs.labels, y)
    options = {"attacks": "pgd(steps=10)", "certifiers": "crown", "outcome": "regression(0.15)", "batch_size": 5}
    here = inradius.bracket(model, Dataset.of(x, y, classes=False), SET, folder=tmp_path / "memory", **options)
    there = inradius.bracket(model, lazy, SET, folder=tmp_path / "disk", **options)
    assert here.examples == there.examples
    with pytest.raises(InputError, match="24 rows and labels of shape"):
        LazyDataset.of(x.numpy(), y.numpy()[:3], classes=False)


def test_radii_and_flags_ask_the_outcome():
    model = network(3)
    found = data(model, lambda z: z > 0)
    asked = make("multi_label", Outcome)
    options = {"attack": make("apgd"), "outcome": asked, "tolerance": 0.1}
    radii = inradius.radii(model, found.inputs, found.labels, make(SET), make("crown"), **options)
    assert bool((radii.certified <= radii.attacked).all())
    assert bool((radii.certified > 0).any())
    assert inradius.model_flags(model, found.inputs, found.labels, asked) == ()
    dead = nn.Sequential(nn.Linear(4, 3), nn.Hardtanh(-1e-9, 1e-9))
    assert "gradient" in " ".join(inradius.model_flags(dead, found.inputs, found.labels, asked))


def test_the_command_line_asks_an_outcome(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model, x = network(2), inputs()
    torch.save(model[0].state_dict(), tmp_path / "weights.pt")
    np.savez("data.npz", inputs=x.numpy(), labels=model(x).detach().numpy())
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 2))\n"
    )
    given = [
        "--model",
        "net.py:net",
        "--weights",
        "weights.pt",
        "--threat",
        SET,
        "--attack",
        "pgd",
        "--certifier",
        "crown",
    ]
    asked = ["--data", "npz('data.npz', classes=False)", "--outcome", "regression(tolerance=0.15)", "--out", "run"]
    assert command(["bracket", *given, *asked, "--per-class"]) == 0
    text = capsys.readouterr().out
    assert "outcome  regression(tolerance=0.15)" in text
    report = inradius.Report.load(tmp_path / "run")
    assert 0 < report.lower <= report.upper < 1
    assert command(["bracket", *given, *asked[:2]]) == 2
    assert "error: the labels have shape (1, 2)" in capsys.readouterr().err
    assert command(["bracket", *given, *asked, "--outcome", "regresion(1)"]) == 2
    assert "did you mean regression" in capsys.readouterr().err


def test_calls_that_do_not_go_together_are_one_sentence():
    model, x = network(4), inputs(3)
    y, outcome = torch.tensor([0, 1, 2]), make("top_k(2)", Outcome)
    with pytest.raises(
        InputError, match=r"goals were given with the outcome top_k\(k=2\); allowed are goals with top1"
    ):
        make("pgd")(model, x, y, make(SET), goal=y, outcome=outcome)
    with pytest.raises(InputError, match="targets were given with the outcome"):
        make("pgd")(model, x, y, make(SET), targets=torch.rand(3, 4), outcome=outcome)
    with pytest.raises(InputError, match="a property and an outcome are given; allowed is one of them"):
        make("crown")(model, x, y, make(SET), prop=Property.margins(y, 4), outcome=outcome)
    with pytest.raises(InputError, match="given without labels"):
        make("crown")(model, x, None, make(SET), outcome=outcome)
    with pytest.raises(InputError, match="the outcome is a str, 'top1'; allowed is a component of kind Outcome"):
        make("pgd")(model, x, y, make(SET), outcome="top1")
