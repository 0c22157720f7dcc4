"""How each operator of torch is rewritten as affine steps and curves, by its name in ATen."""

from collections.abc import Callable
from typing import Any

from inradius_bounds.lowering.operators.activations import ACTIVATIONS
from inradius_bounds.lowering.operators.arithmetic import ARITHMETIC
from inradius_bounds.lowering.operators.curves import CURVES
from inradius_bounds.lowering.operators.extremes import EXTREMES
from inradius_bounds.lowering.operators.max_pools import MAX_POOLS
from inradius_bounds.lowering.operators.mean_pools import MEAN_POOLS
from inradius_bounds.lowering.operators.moves import MOVES
from inradius_bounds.lowering.operators.norms import NORMS
from inradius_bounds.lowering.operators.products import PRODUCTS
from inradius_bounds.lowering.operators.resampling import RESAMPLING
from inradius_bounds.lowering.operators.statistics import STATISTICS
from inradius_bounds.lowering.operators.sums import SUMS

_TABLES = (
    ACTIVATIONS, ARITHMETIC, CURVES, EXTREMES, MAX_POOLS, MEAN_POOLS, MOVES, NORMS, PRODUCTS, RESAMPLING, STATISTICS, SUMS,
)  # fmt: skip
REWRITES: dict[str, Callable[..., Any]] = {name: rewrite for table in _TABLES for name, rewrite in table.items()}
