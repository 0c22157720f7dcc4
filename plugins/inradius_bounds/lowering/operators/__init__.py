"""The rewriting of each operator of torch as affine steps and curves, by its name in ATen."""

from collections.abc import Callable
from typing import Any

from inradius_bounds.lowering.operators.arithmetic import ARITHMETIC
from inradius_bounds.lowering.operators.curves import CURVES
from inradius_bounds.lowering.operators.moves import MOVES
from inradius_bounds.lowering.operators.norms import NORMS
from inradius_bounds.lowering.operators.pools import POOLS
from inradius_bounds.lowering.operators.products import PRODUCTS
from inradius_bounds.lowering.operators.sums import SUMS

REWRITES: dict[str, Callable[..., Any]] = ARITHMETIC | CURVES | MOVES | NORMS | POOLS | PRODUCTS | SUMS
