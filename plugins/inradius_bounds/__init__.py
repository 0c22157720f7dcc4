"""First-party certifiers, which propagate bounds through the layers of a network: from ``interval`` to ``lp``, and a cascade.

The folders follow the way of a computation. ``capture`` records the operators that a model runs. ``lowering`` rewrites them as
affine steps (``steps``) and activations. ``rules`` states how bounds pass each layer; ``rules/activations/relu.py`` is the
place where a bound crosses a ReLU. ``network`` holds the graph of values with their boxes and rounding errors. ``backward``
pulls linear functions back to the input; ``backward/curve_lines.py`` takes them across an activation. ``layout`` writes the
graph as a chain of layers for ``solvers`` and ``projections``. ``certifiers`` holds one certifier a file, ``attacks`` the attack
that searches with bounds.
"""

from typing import Any

from torch import nn

from inradius import Attack, Certifier, LayerRule, hookimpl
from inradius_bounds.attacks.bab_attack import BabAttack
from inradius_bounds.certifiers.alpha import Alpha
from inradius_bounds.certifiers.branch_and_bound import BranchAndBound
from inradius_bounds.certifiers.cascade import CertifierCascade
from inradius_bounds.certifiers.crown import Crown
from inradius_bounds.certifiers.dual import Dual
from inradius_bounds.certifiers.interval import Interval
from inradius_bounds.certifiers.lp import LP
from inradius_bounds.certifiers.milp import MILP
from inradius_bounds.certifiers.projected import Projected
from inradius_bounds.rules import by_layer


@hookimpl
def attacks() -> list[type[Attack]]:
    return [BabAttack]


@hookimpl
def certifiers() -> list[type[Certifier]]:
    return [Interval, Dual, Crown, Alpha, CertifierCascade, Projected, LP, MILP, BranchAndBound]


@hookimpl
def layer_rules() -> dict[type[nn.Module], LayerRule]:
    return by_layer()


@hookimpl
def law_cases() -> dict[nn.Module, dict[str, Any]]:
    from inradius_bounds.rules.law_cases import layer_cases

    return layer_cases()
