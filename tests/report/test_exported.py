"""Exported images are the pixels that 8 bits hold, and what survives is judged on those."""

import csv

import attrs
import numpy as np
import pytest
import torch
from torch import nn

import inradius
from inradius import InputError


@pytest.fixture
def asked(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    pixels = torch.randint(0, 256, (30, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = inradius.as_dataset(pixels, model(pixels.float() / 255).argmax(1))
    report = inradius.bracket(
        model, data, "l2(eps=0.25)", attacks="pgd(steps=10)", certifiers=[], folder=tmp_path / "run"
    )
    return model, data, report


def test_files_hold_what_is_judged(asked, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow reads the files again")
    model, data, report = asked
    found = report.export_images(tmp_path / "out", model, data)
    assert len(found) == report.counts["attacked"] > 0
    threat = inradius.make("l2(eps=0.25)", inradius.ThreatModel)
    for each in found:
        first, second = (
            torch.from_numpy(np.array(image.open(tmp_path / "out" / name))).float()[None] / 255
            for name in (each.image, each.perturbed)
        )
        x = data.inputs[each.index]
        torch.testing.assert_close(first, x)
        assert each.inside == bool(threat.contains((second - x)[None], x[None]))
        assert each.survives == (each.inside and int(model(second[None]).argmax()) != each.label)
    with (tmp_path / "out" / "images.csv").open(encoding="utf-8") as file:
        assert [(int(row["index"]), row["survives"] == "True") for row in csv.DictReader(file)] == [
            (each.index, each.survives) for each in found
        ]


def test_without_data_the_shown_images_are_exported_and_not_judged(asked, tmp_path):
    _, _, report = asked
    found = report.export_images(tmp_path / "out")
    assert 0 < len(found) <= 8
    assert all(each.survives is None for each in found)


def test_refusals(asked, tmp_path):
    model, data, _ = asked
    none = inradius.bracket(model, data, "l2(eps=0.0)", attacks="fgsm", certifiers=[], folder=tmp_path / "none")
    with pytest.raises(InputError, match="holds no broken image"):
        none.export_images(tmp_path / "out")
    _, _, report = asked
    with pytest.raises(InputError, match=r"the data have no example .* of the report's shape"):
        report.export_images(tmp_path / "out", model, data.select(slice(0)))
    flat = inradius.Dataset.of(data.inputs.flatten(1), data.labels, bounds=None)
    row = inradius.bracket(
        model, flat, "l2(eps=3, bounds=None)", attacks="fgsm", certifiers=[], folder=tmp_path / "row"
    )
    with pytest.raises(InputError, match="no box of two numbers"):
        row.export_images(tmp_path / "out")
    boxed = inradius.Dataset.of(data.inputs.flatten(1), data.labels)
    row = inradius.bracket(model, boxed, "l2(eps=3)", attacks="fgsm", certifiers=[], folder=tmp_path / "boxed")
    with pytest.raises(InputError, match=r"inputs of shape \(16,\) are no images"):
        row.export_images(tmp_path / "out", data=boxed)


def test_examples_of_one_number_have_files_of_their_own(asked, tmp_path):
    model, data, _ = asked
    same = attrs.evolve(data, index=torch.arange(30) // 10)
    options = {"attacks": "pgd(steps=10)", "certifiers": [], "folder": tmp_path / "same"}
    report = inradius.bracket(model, same, "l2(eps=0.25)", **options)
    found = report.export_images(tmp_path / "out", model, same)
    assert len({each.image for each in found}) == len(found) == report.counts["attacked"] > 3
    once = inradius.bracket(model, data, "l2(eps=0.25)", **options | {"folder": tmp_path / "once"})
    rows = [each.index for each in once.export_images(tmp_path / "alone", model, data)]
    pictures = [(tmp_path / "alone" / f"{row:05d}-image.png").read_bytes() for row in rows]
    broken = [example.row for example in report.examples if example.status == "attacked"]
    for row, each in zip(broken, found, strict=True):
        if row in rows:
            assert (tmp_path / "out" / each.image).read_bytes() == pictures[rows.index(row)]


def test_what_cannot_be_exported_is_one_sentence(asked, tmp_path):
    model, data, report = asked
    with pytest.raises(InputError, match="the data are a int; allowed are the report's own data"):
        report.export_images(tmp_path / "out", model, 3)
    others = attrs.evolve(data, inputs=1 - data.inputs)
    with pytest.raises(InputError, match="is another image than the report's"):
        report.export_images(tmp_path / "out", model, others)
    outcome = inradius.outcome(
        lambda outputs, y: outputs.gather(1, y[:, None]).squeeze(1) - outputs.mean(1), name="lead"
    )
    own = inradius.bracket(
        model, data, "l2(eps=0.5)", attacks="pgd(steps=5)", certifiers=[], outcome=outcome, folder=tmp_path / "own"
    )
    with pytest.raises(InputError, match="which no spec makes again; allowed is an export without a model"):
        own.export_images(tmp_path / "out", model, data)
    assert own.export_images(tmp_path / "out", data=data)
