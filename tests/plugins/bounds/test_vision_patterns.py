"""Bounds of networks as people write them, against points of the set; the patterns of the libraries stand in tests/shared."""

import pytest
import torch
from people_networks import NETWORKS
from torch import nn
from vision_patterns import PATTERNS

import inradius
from inradius import Certifier, Property, ThreatModel

SLOW = ("vision transformer", "transformer encoder layer", "LSTM over rows")


def rows(count, outputs):
    """Each output and its negative, as clauses of one row."""
    weights = torch.cat([torch.eye(outputs, dtype=torch.float64), -torch.eye(outputs, dtype=torch.float64)])
    return Property(weights.expand(count, -1, -1), torch.zeros(count, 2 * outputs, dtype=torch.float64))


def check(model, x, specs, eps):
    """No corner and no sample of the set has an output outside of the bounds, which are finite and exact at radius 0."""
    generator = torch.Generator().manual_seed(0)
    shares = 2 * torch.rand(60, *x.shape, dtype=torch.float64, generator=generator) - 1
    shares[::2] = shares[::2].sign()
    with torch.no_grad():
        values = torch.stack([model(x + eps * share) for share in shares])
        middle = model(x)
    lowest = torch.cat([values.amin(0), -values.amax(0)], dim=1)
    for spec in specs:
        certifier = inradius.make(spec, Certifier)
        prop = rows(len(x), middle.shape[1])
        found = certifier(model, x, None, inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel), prop=prop)
        assert bool(found.lower.isfinite().all())
        assert bool((found.lower - found.error <= lowest).all())
    exact = certifier(model, x, None, inradius.make("linf(eps=0.0, bounds=None)", ThreatModel), prop=prop)
    torch.testing.assert_close(exact.lower, torch.cat([middle, -middle], dim=1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", PATTERNS)
def test_blocks_of_vision_libraries(name):
    torch.manual_seed(0)
    model, shape = PATTERNS[name]()
    x = torch.rand(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    check(model.double().eval(), x, ["interval()", "dual()", "crown()"], 0.01)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in NETWORKS]
)
def test_networks_that_people_train(name):
    torch.manual_seed(0)
    model = NETWORKS[name]().double().eval()
    shape = (8,) if name == "generator and controller" else (1, 8, 8)
    x = torch.rand(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    check(model, x, ["interval()", "dual()"] if name == SLOW[0] else ["interval()", "crown()"], 0.002)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["vit", "bert"])
def test_models_of_transformers(kind, attention):
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12}

    class Logits(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model, self.out = model, nn.Linear(8, 3)

        def forward(self, x):
            name = "pixel_values" if kind == "vit" else "inputs_embeds"
            return self.out(self.model(**{name: x}).last_hidden_state[:, 0])

    if kind == "vit":
        config = transformers.ViTConfig(
            **sizes, image_size=4, patch_size=2, num_channels=1, attn_implementation=attention
        )
        model, shape = transformers.ViTModel(config, add_pooling_layer=False), (1, 4, 4)
    else:
        config = transformers.BertConfig(**sizes, vocab_size=20, attn_implementation=attention)
        model, shape = transformers.BertModel(config, add_pooling_layer=False), (3, 8)
    x = torch.rand(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    check(Logits(model).double().eval(), x, ["interval()", "dual()", "crown()"], 0.002)
