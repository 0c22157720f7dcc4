"""Attacks made of attacks: restarts, the worst of several, cascades, expectations, and the standard suites."""

from typing import Any

import torch

from inradius import Attack, hookimpl
from inradius_combinators.attack_cascade import AttackCascade as AttackCascade
from inradius_combinators.autoattack import AutoAttack as AutoAttack
from inradius_combinators.eot import EOT as EOT
from inradius_combinators.if_zero_gradient import IfZeroGradient as IfZeroGradient
from inradius_combinators.inradius_suite import InradiusSuite as InradiusSuite
from inradius_combinators.on_grid import OnGrid as OnGrid
from inradius_combinators.restarts import Restarts as Restarts
from inradius_combinators.worst import Worst as Worst


@hookimpl
def attacks() -> list[type[Attack]]:
    return [Restarts, Worst, AttackCascade, EOT, IfZeroGradient, OnGrid, AutoAttack, InradiusSuite]


@hookimpl
def law_cases() -> dict[str, dict[str, Any]]:
    from hypothesis import strategies as st

    # images of 8 bits, (2, 1, 2, 2)
    levels = st.lists(st.integers(0, 255), min_size=8, max_size=8)
    stored = levels.map(lambda each: torch.tensor(each, dtype=torch.float64).view(2, 1, 2, 2) / 255)
    # few steps on small inputs, since a law runs an attack many times
    small = {"shape": (1, 2, 2)}
    return {
        "restarts(pgd(steps=3), n=2)": small,
        "worst(pgd(steps=3), fgsm())": small,
        "attack_cascade(fgsm(), pgd(steps=3, seed=2))": small,
        "eot(pgd(steps=3), samples=2)": small,
        "if_zero_gradient(pgd(steps=3))": small,
        "autoattack(steps=4, classes=2, queries=20)": small,
        "inradius_suite(steps=4, classes=2, probe=8, queries=20)": small,
        "on_grid(pgd(steps=3))": small | {"inputs": stored},
    }
