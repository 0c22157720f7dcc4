"""First-party certifiers, which pass bounds through the layers: from `interval` to `lp`, and a cascade of them."""

from torch import nn

from inradius import Certifier, LayerRule, hookimpl
from inradius_bounds.alpha import Alpha
from inradius_bounds.cascade import CertifierCascade
from inradius_bounds.crown import Crown
from inradius_bounds.dual import Dual
from inradius_bounds.interval import Interval
from inradius_bounds.lp import LP
from inradius_bounds.milp import MILP
from inradius_bounds.projected import Projected
from inradius_bounds.rules import by_layer


@hookimpl
def certifiers() -> list[type[Certifier]]:
    return [Interval, Dual, Crown, Alpha, CertifierCascade, Projected, LP, MILP]


@hookimpl
def layer_rules() -> dict[type[nn.Module], LayerRule]:
    return by_layer()
