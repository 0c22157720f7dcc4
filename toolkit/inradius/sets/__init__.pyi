# Made by tests/shared/class_stubs.py from the first-party plugins; classes of other plugins have no static type here.
from typing import Any

from inradius_lp.l0 import L0 as L0
from inradius_lp.l1 import L1 as L1
from inradius_lp.l2 import L2 as L2
from inradius_lp.linf import Linf as Linf
from inradius_sets.affine import Affine as Affine
from inradius_sets.box import Box as Box
from inradius_sets.intersection import Intersection as Intersection
from inradius_sets.patch import Patch as Patch
from inradius_union.union import Union as Union
from inradius_wasserstein.set.ball import Wasserstein as Wasserstein

def __getattr__(name: str) -> Any: ...
