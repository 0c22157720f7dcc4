"""First-party certifiers, which pass bounds through the layers: from `interval` to `lp`, and a cascade of them."""

from torch import nn

from inradius import Certifier, LayerRule, hookimpl
from inradius_bounds.certifiers.alpha import Alpha
from inradius_bounds.certifiers.cascade import CertifierCascade
from inradius_bounds.certifiers.crown import Crown
from inradius_bounds.certifiers.dual import Dual
from inradius_bounds.certifiers.interval import Interval
from inradius_bounds.certifiers.lp import LP
from inradius_bounds.certifiers.milp import MILP
from inradius_bounds.certifiers.projected import Projected
from inradius_bounds.rules import by_layer


@hookimpl
def certifiers() -> list[type[Certifier]]:
    return [Interval, Dual, Crown, Alpha, CertifierCascade, Projected, LP, MILP]


@hookimpl
def layer_rules() -> dict[type[nn.Module], LayerRule]:
    return by_layer()
