# Made by tests/shared/class_stubs.py from the first-party plugins; classes of other plugins have no static type here.
from typing import Any

from inradius_bounds.certifiers.alpha import Alpha as Alpha
from inradius_bounds.certifiers.branch_and_bound import BranchAndBound as BranchAndBound
from inradius_bounds.certifiers.cascade import CertifierCascade as CertifierCascade
from inradius_bounds.certifiers.crown import Crown as Crown
from inradius_bounds.certifiers.dual import Dual as Dual
from inradius_bounds.certifiers.interval import Interval as Interval
from inradius_bounds.certifiers.lp import LP as LP
from inradius_bounds.certifiers.milp import MILP as MILP
from inradius_bounds.certifiers.projected import Projected as Projected

def __getattr__(name: str) -> Any: ...
