"""Classifiers of transformers on disk: their logits, their processor's normalisation, and what they refuse."""

import json

import numpy as np
import pytest
import torch
from cli_cases import complaint

import inradius
from inradius import InputError
from inradius.cli import run

transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12}
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 4, "width": 4},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}


def saved_vit(folder, **processor):
    torch.manual_seed(0)
    config = transformers.ViTConfig(**SIZES, image_size=4, patch_size=2, num_channels=3, num_labels=3)
    model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | processor))
    return model


def saved_bert(folder):
    torch.manual_seed(0)
    config = transformers.BertConfig(**SIZES, vocab_size=20, max_position_embeddings=12, num_labels=2)
    model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"do_normalize": False},
        {"rescale_factor": 1 / 127.5, "image_mean": [1.0, 1.0, 1.0]},
        {"do_rescale": False, "image_mean": [120.0, 110.0, 100.0], "image_std": [60.0, 60.0, 50.0]},
        {"image_mean": [0.5], "image_std": [0.25]},
    ],
)
def test_pixels_become_what_the_processor_makes_of_bytes(tmp_path, changed):
    own = saved_vit(tmp_path, **changed)
    model = inradius.load_model(f"hf('{tmp_path}')")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    told = PROCESSOR | changed
    # the steps of a processor, one by one
    values = torch.from_numpy(pixels).double() * (told["rescale_factor"] if told["do_rescale"] else 1)
    if told["do_normalize"]:
        mean, std = (torch.tensor(told[name]).double().view(1, -1, 1, 1) for name in ("image_mean", "image_std"))
        values = (values - mean) / std
    with torch.no_grad():
        wanted = own(pixel_values=values.float()).logits
        torch.testing.assert_close(model(torch.from_numpy(pixels).float() / 255), wanted, rtol=1e-4, atol=1e-5)
    assert model.input_shape == (3, 4, 4)


def test_a_vit_is_bracketed_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own = saved_vit(tmp_path)
    x = torch.rand(3, 3, 4, 4)
    np.savez("d.npz", inputs=x.numpy(), labels=inradius.load_model(f"hf:{tmp_path}")(x).argmax(1).numpy())
    asked = ["bracket", "--model", f"hf:{tmp_path}", "--data", "npz:d.npz", "--threat", "linf(eps=0.001)"]
    assert (
        run([*asked, "--attack", "pgd(steps=2)", "--certifier", "interval", "--certifier", "crown", "--audit", "0"])
        == 0
    )
    assert "100.0 %" in capsys.readouterr().out
    assert own.num_labels == 3
    np.savez("d.npz", inputs=torch.rand(3, 3, 8, 8).numpy(), labels=np.zeros(3, int))
    assert "the processor of this classifier makes (3, 4, 4), as does images('FOLDER', size=(4, 4))" in complaint(
        capsys, *asked
    )


def test_a_bert_takes_embeddings(tmp_path):
    own = saved_bert(tmp_path)
    model = inradius.load_model(f"hf('{tmp_path}')")
    tokens = torch.randint(0, 20, (3, 5))
    x = model.embed(tokens)
    with torch.no_grad():
        wanted = own(input_ids=tokens).logits
        torch.testing.assert_close(model(x), wanted)
    # margins of random weights are close to the rounding of float32
    data = inradius.Dataset.of(x.double(), wanted.argmax(1), bounds=None)
    report = inradius.bracket(
        model.double(),
        data,
        "linf(eps=0.0001, bounds=None)",
        attacks="pgd(steps=2)",
        certifiers="crown",
        claim="real",
        folder=tmp_path / "run",
    )
    assert report.lower == report.upper == 1
    with pytest.raises(InputError, match="has no tokenizer; give tokens"):
        model.embed(["a b"])


def test_texts_have_one_length(tmp_path):
    saved_bert(tmp_path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    model = inradius.load_model(f"hf('{tmp_path}')")
    assert model.embed(["a b", "c d"]).shape == (2, 4, 8)
    with pytest.raises(InputError, match="the texts have 3 and 4 tokens; allowed is one length"):
        model.embed(["a", "c d"])


def change(folder, name, **values):
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda f: (f / "config.json").unlink(), "there is no file .*config.json; hf needs a folder"),
        (lambda f: (f / "config.json").write_text("{"), "is no JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "holds a list"),
        (lambda f: change(f, "config.json", architectures=["ViTModel"]), "holds ViTModel; allowed are classifiers"),
        (lambda f: change(f, "config.json", auto_map={"AutoConfig": "x.Y"}), "needs code of its own, which is not run"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "an image classifier needs it for the normalisation"),
        (lambda f: change(f, "preprocessor_config.json", image_std=None), "without image_mean and image_std"),
        (lambda f: (f / "model.safetensors").unlink(), "cannot be loaded"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "cannot be loaded"),
    ],
)
def test_refused_folders(tmp_path, break_it, said):
    saved_vit(tmp_path)
    break_it(tmp_path)
    with pytest.raises(InputError, match=said):
        inradius.load_model(f"hf('{tmp_path}')")


def test_a_network_without_its_last_layer_is_no_classifier(tmp_path):
    saved_vit(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    transformers.ViTModel(transformers.ViTConfig(**SIZES, image_size=4, patch_size=2)).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"lack classifier\.bias, classifier\.weight"):
        inradius.load_model(f"hf('{tmp_path}')")
