"""Attacks made of attacks: restarts, the worst of several, cascades, expectations, and the standard suites."""

from typing import Any

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
    from inradius.testing.strategies import inputs

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
        "on_grid(pgd(steps=3))": small
        | {"inputs": inputs((1, 2, 2), (0.0, 1.0)).map(lambda x: (255 * x).round() / 255)},
    }
