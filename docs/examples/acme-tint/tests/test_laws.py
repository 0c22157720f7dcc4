"""The plugin keeps every law of inradius."""

import pytest
import torch

from inradius import Attack, ThreatModel
from inradius.testing import check_attack, check_threat_model, laws

SETS = ["tint(eps=0.1)", "tint(eps=0.5)", "tint(eps=0.0)", "tint(eps=0.1, bounds=None)"]


@pytest.mark.parametrize("law", laws(ThreatModel))
@pytest.mark.parametrize("spec", SETS)
def test_set(spec, law):
    check_threat_model(spec, shape=(3, 2, 2), only=[law])


def test_set_in_single_precision():
    check_threat_model("tint(eps=0.1)", shape=(3, 2, 2), dtype=torch.float32)


@pytest.mark.parametrize("law", laws(Attack))
def test_attack(law):
    check_attack("vertices(tries=5)", "tint(eps=0.3)", shape=(2, 2, 2), only=[law])
