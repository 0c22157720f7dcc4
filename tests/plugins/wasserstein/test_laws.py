"""Wasserstein balls under the law kit: windows, any move, given costs, caps, radius zero, single precision."""

import pytest
import torch

from inradius import ThreatModel
from inradius.testing import check_threat_model, laws
from inradius.testing.strategies import inputs

SPECS = [
    "wasserstein(0.1)",
    "wasserstein(2.0, kernel=3, p=2)",
    "wasserstein(0.3, kernel=None, p=0.5)",
    "wasserstein(0.5, mass='absolute')",
    "wasserstein(0.3, cost=((2, 1, 3), (1, 0, 0.5), (2, 1, 2)))",
    "wasserstein(0.3, bounds=(0, 1))",
    "wasserstein(0.0)",
]
AGREES = next(law for law in laws(ThreatModel) if law.__name__ == "agrees_with_cvxpy")


def check(spec, shape, **options):
    check_threat_model(spec, shape=shape, inputs=inputs(shape, (0.0, 1.0)), **options)


@pytest.mark.parametrize("spec", ["wasserstein(2.0, kernel=3, p=2)", "wasserstein(0.0)"])
def test_laws_of_a_few(spec):
    check(spec, (1, 2, 2), examples=2, without=[AGREES])


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_laws(spec):
    check(spec, (1, 3, 3), examples=8, without=[AGREES])


@pytest.mark.slow
def test_laws_of_images_with_channels():
    check("wasserstein(0.1, kernel=3)", (2, 2, 3), examples=8, without=[AGREES])


@pytest.mark.slow
def test_laws_in_single_precision():
    check("wasserstein(0.1)", (1, 3, 3), examples=8, dtype=torch.float32, without=[AGREES])


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate:UserWarning")
@pytest.mark.parametrize("spec", SPECS)
def test_agreement_with_cvxpy(spec):
    check(spec, (1, 3, 3), examples=4, only=[AGREES])
