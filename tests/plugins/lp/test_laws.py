"""The ℓp sets under the law kit: with and without a box, at radius zero, beyond the box, in both precisions."""

import pytest
import torch

from inradius import ThreatModel
from inradius.testing import check_threat_model, laws

SPECS = [
    "linf(eps=0.3)",
    "l2(eps=0.8)",
    "l1(eps=1.2)",
    "linf(eps=0.3, bounds=None)",
    "l2(eps=0.8, bounds=None)",
    "l1(eps=1.2, bounds=None)",
    "l2(eps=1.5, bounds=(-2, 1))",
    "linf(eps=0)",
    "l2(eps=0)",
    "l1(eps=0)",
    "l2(eps=100)",
    "l1(eps=100)",
]
AGREES = next(law for law in laws(ThreatModel) if law.__name__ == "agrees_with_cvxpy")


@pytest.mark.parametrize("spec", SPECS)
def test_laws(spec):
    check_threat_model(spec, shape=(1, 3, 3), examples=4, without=[AGREES])


@pytest.mark.parametrize("spec", ["linf(eps=0.3)", "l2(eps=0.8)", "l1(eps=1.2)"])
def test_laws_in_single_precision(spec):
    check_threat_model(spec, shape=(1, 3, 3), examples=4, dtype=torch.float32, without=[AGREES])


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate:UserWarning")
@pytest.mark.parametrize("spec", SPECS[:7])
def test_agreement_with_cvxpy(spec):
    check_threat_model(spec, examples=20, only=[AGREES])
