"""What ``train`` refuses, each in one sentence that says what is allowed."""

import re
from pathlib import Path

import pytest
import torch
from run_toys import blobs, fit
from torch import nn

import inradius


def frozen_network(*trained):
    """Three layers, of which those in ``trained`` are to be trained."""
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    for place, layer in enumerate(model):
        layer.requires_grad_(place in trained)
    return model


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 2**63}, "allowed is an integer ≥ 0 and below 2**63"),
        ({"transforms": 5}, "transforms=5: 5 is an int, but a Transform is needed here"),
        ({"monitors": ["awp()"]}, "monitors='awp()': 'awp()' makes an Update, but a Monitor is needed here"),
        ({"sampler": ["cfol()"]}, "but a Sampler is needed here"),
        ({"update": 7}, "update=7: 7 is an int, but an Update is needed here"),
        ({"schedule": "stairs"}, "schedule='stairs': 'stairs' is not a known name"),
        ({"validation": "absent()"}, "validation='absent()': 'absent' is not a known name"),
        ({"device": "abacus"}, "the device 'abacus' cannot be used here"),
        ({"model": 5}, "the model is int; allowed are a torch Module and the spec of one"),
        ({"model": nn.Flatten()}, "the model has no weights to train"),
        ({"model": frozen_network()}, "the model has no weights to train"),
        ({"model": nn.Linear(7, 2)}, "the model fails on inputs of shape (1, 2) from blobs: RuntimeError"),
        ({"model": nn.Linear(2, 2).double()}, "the model fails on inputs of shape (1, 2) from blobs: RuntimeError"),
        ({"defense": "adversarial(bn_mode='never')"}, "'bn_mode' must be in ('eval', 'train', 'train_notrack')"),
    ],
)
def test_a_wrong_argument_is_one_sentence(tmp_path, options, said):
    with pytest.raises(inradius.InradiusError, match=re.escape(said)) as caught:
        fit(tmp_path, options.pop("defense", None), **options)
    assert "Attribute(" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_a_path():
    with pytest.raises(inradius.InputError, match="folder=5 is int; allowed is a path"):
        fit(5)


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"settings": 1}'])
def test_a_record_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(
        inradius.InputError, match=r"run\.json' is (no record of a training run|damaged).*another folder"
    ):
        fit(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5, None])
def test_a_state_that_is_damaged_is_refused(tmp_path, share):
    fit(tmp_path)
    state = tmp_path / "state.pt"
    whole = state.read_bytes()
    state.write_bytes(b"something else" if share is None else whole[: int(share * len(whole))])
    with pytest.raises(inradius.InputError, match=r"state\.pt' is damaged: the checksum is missing.*fresh=True"):
        fit(tmp_path)
    fit(tmp_path, fresh=True)


def test_what_is_trained_on_does_not_compare_the_checkpoints(tmp_path):
    data = blobs()
    with pytest.raises(inradius.InputError, match="5 of the 5 examples of validation=blobs are in blobs"):
        fit(tmp_path, data=data, validation=data.take(5), select_on_test=True)
    fit(tmp_path, data=data, validation=blobs(seed=1))


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("update", ["plain()", "awp()", "sampa()"])
def test_weights_that_are_frozen_stay(tmp_path, precision, update):
    model = frozen_network(2, 4)
    before = [p.detach().clone() for p in model.parameters()]
    fit(tmp_path, "adversarial(pgd(steps=1))", model=model, precision=precision, update=update, weight_decay=0.1)
    changed = [not torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True)]
    assert changed == [False, False, True, True, True, True]


def test_one_part_alone_is_a_list_of_one(tmp_path):
    learned = []
    for folder, transforms in (("one", "mixup()"), ("list", ["mixup()"])):
        model = frozen_network(0, 2, 4)
        fit(tmp_path / folder, "standard()", model=model.apply(halved), epochs=1, transforms=transforms)
        learned.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*learned)


def halved(layer):
    """Fills a layer's weights with numbers that are not equal."""
    for parameter in layer.parameters(recurse=False):
        nn.init.constant_(parameter, 0.5)
        parameter.data.view(-1)[::2] = -0.25


def test_a_state_without_a_record_is_not_taken_for_that_of_another_run(tmp_path):
    fit(tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(inradius.InputError, match=r"holds a run without its record.*fresh=True"):
        fit(tmp_path, lr=0.3)
    fit(tmp_path, fresh=True)


def test_the_record_is_the_last_to_go_when_a_run_starts_again(tmp_path, monkeypatch):
    fit(tmp_path)
    files = sum(path.is_file() for path in tmp_path.iterdir())
    unlink, gone = Path.unlink, []

    def mortal(path, **options):
        if path.exists() and not path.name.startswith(".probe"):
            gone.append(path.name)
            if len(gone) == files:
                raise KeyboardInterrupt
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", mortal)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, lr=0.3, fresh=True)
    assert gone[-2:] == ["run.json", "run-files.json"]
