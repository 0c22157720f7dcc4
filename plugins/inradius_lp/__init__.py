"""ℓ∞, ℓ2, ℓ1 and ℓ0 balls intersected with the box of valid inputs, with exact oracles."""

from typing import Any

from inradius import ThreatModel, hookimpl
from inradius_lp.l0 import L0 as L0
from inradius_lp.l1 import L1 as L1
from inradius_lp.l2 import L2 as L2
from inradius_lp.linf import Linf as Linf


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return [Linf, L2, L1, L0]


@hookimpl
def law_cases() -> dict[str, dict[str, Any]]:
    return {
        "linf(eps=0.1)": {},
        "l2(eps=0.5)": {},
        "l1(eps=1.0)": {},
        "l0(k=3)": {},
    }
