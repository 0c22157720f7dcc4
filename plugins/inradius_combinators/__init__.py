"""Attacks made of attacks: restarts, the worst of several, cascades, expectations, and the standard suites."""

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
