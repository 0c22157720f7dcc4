"""How each operator of torch is rewritten as affine steps and curves, by its name in ATen."""

from collections.abc import Callable
from typing import Any

from inradius_bounds.lowering.operators.activations import ACTIVATIONS
from inradius_bounds.lowering.operators.arithmetic import ARITHMETIC
from inradius_bounds.lowering.operators.combined import COMBINED
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

# the families of operators, by what they do
FAMILIES: dict[str, dict[str, Callable[..., Any]]] = {
    "Arithmetic": ARITHMETIC | COMBINED,
    "Products and convolutions": PRODUCTS,
    "Elementwise functions": CURVES | ACTIVATIONS,
    "Sums and means": SUMS,
    "Largest and smallest numbers": EXTREMES | MAX_POOLS,
    "Means over windows": MEAN_POOLS,
    "Normalisation and softmax": NORMS,
    "Norms, variances, logarithms of sums": STATISTICS,
    "Interpolation, padding, running sums": RESAMPLING,
    "Numbers in other places": MOVES,
}
REWRITES: dict[str, Callable[..., Any]] = {
    name: rewrite for family in FAMILIES.values() for name, rewrite in family.items()
}
