"""Laws of defenses, one function each; ``LAWS`` lists them all. Each trains a tiny network on a few examples."""

from tempfile import TemporaryDirectory

import attrs
import hypothesis.strategies as st
import torch
from torch import Tensor, nn

from inradius.data.dataset import Dataset
from inradius.sets.threat_model import ThreatModel
from inradius.testing.components import spec_round_trip
from inradius.testing.networks import network
from inradius.testing.strategies import Shape, inputs
from inradius.training.defense import Defense
from inradius.training.train import train


@attrs.frozen(eq=False)
class DefenseCase:
    """A case for the laws of defenses: examples to train on, the set, and a seed."""

    data: Dataset
    threat: ThreatModel
    seed: int


def defense_cases(
    shape: Shape, threat: ThreatModel, *, images: st.SearchStrategy[Tensor] | None = None
) -> st.SearchStrategy[DefenseCase]:
    """Eight examples of three classes."""
    drawn = images if images is not None else inputs(shape, threat.bounds, batch=8)

    def build(x: Tensor, seed: int) -> DefenseCase:
        return DefenseCase(Dataset.of(x, torch.arange(len(x)) % 3, name="random examples"), threat, seed)

    return st.builds(build, drawn, st.integers(0, 2**31))


def training_gives_a_network(defense: Defense, case: DefenseCase) -> None:
    """A run of one epoch returns a network in eval mode with finite weights and logits."""
    trained = _train(defense, case)
    assert not any(module.training for module in trained.modules()), "the trained network is not in eval mode"
    assert all(bool(p.isfinite().all()) for p in trained.parameters()), "a trained weight is NaN or infinite"
    with torch.no_grad():
        assert bool(trained(case.data.inputs).isfinite().all()), "the trained network's logits are NaN or infinite"


def equal_seeds_give_equal_weights(defense: Defense, case: DefenseCase) -> None:
    """Two runs with equal settings give bit-equal weights."""
    pairs = zip(_train(defense, case).parameters(), _train(defense, case).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "two equal runs end with different weights"


def _train(defense: Defense, case: DefenseCase) -> nn.Module:
    model = network(tuple(case.data.inputs.shape[1:]), 3, case.seed, depth=1)
    options = {"epochs": 1, "batch_size": 4, "validation": 0.25, "device": "cpu", "seed": case.seed}
    with TemporaryDirectory() as folder:
        return train(defense, model, case.data, case.threat, folder=folder, **options)  # type: ignore[arg-type]


LAWS = (spec_round_trip, training_gives_a_network, equal_seeds_give_equal_weights)
