"""The plugin keeps every law of inradius, and what inradius brings keeps its laws on the set; few cases, as each takes searches."""

import pytest
import torch

from inradius.testing import certifiers, check_attack, check_certifier, check_threat_model

# two channels of two pixels
SHAPE = (2, 1, 2)


@pytest.mark.parametrize("spec", ["tint(eps=0.1)", "tint(eps=0.0)", "tint(eps=0.1, bounds=None)"])
def test_set(spec):
    check_threat_model(spec, shape=SHAPE, examples=1)


def test_set_in_single_precision():
    check_threat_model("tint(eps=0.1)", shape=SHAPE, dtype=torch.float32, examples=1)


def test_attack():
    check_attack("vertices(tries=5)", "tint(eps=0.3)", shape=SHAPE, examples=1)


def test_attack_of_inradius():
    check_attack("pgd(steps=5)", "tint(eps=0.3)", shape=SHAPE, examples=1)


def test_certifier_of_inradius():
    check_certifier("dual()", "tint(eps=0.3)", shape=SHAPE, examples=1)


def test_no_tint_lies_below_a_certificate():
    check_certifier("dual()", "tint(eps=0.3)", shape=SHAPE, examples=8, only=[certifiers.members_lie_above_the_bound])
