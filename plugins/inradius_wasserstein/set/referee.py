"""The constraints of a Wasserstein ball in cvxpy, for the referee."""

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from inradius_wasserstein.set.moves import PixelMoves

if TYPE_CHECKING:
    import cvxpy


def plan_constraints(
    delta: "cvxpy.Variable", x: Tensor, moves: PixelMoves, budget: float, cap: float | None
) -> "list[cvxpy.Constraint]":
    """The constraints δ ∈ Δ(x) for one image (C, H, W) in float64, with one variable for each move; ``cap`` limits the pixels."""
    import cvxpy
    from scipy.sparse import coo_matrix

    pixels, channels = len(moves.target), len(x)
    pixel, column = np.nonzero(moves.valid.numpy())
    first = np.repeat(np.arange(channels) * pixels, len(pixel))
    source = np.tile(pixel, channels) + first
    target = np.tile(moves.target.numpy()[pixel, column], channels) + first
    cost = np.tile(moves.cost.numpy()[pixel, column], channels)
    plan = cvxpy.Variable(len(source), nonneg=True)
    each, ones, shape = np.arange(len(source)), np.ones(len(source)), (x.numel(), len(source))
    leaves, arrives = (coo_matrix((ones, (place, each)), shape).tocsr() for place in (source, target))
    mass = x.flatten().numpy()
    found = [leaves @ plan == mass, delta == arrives @ plan - mass, cost @ plan <= budget]
    return found if cap is None else [*found, delta <= np.maximum(cap - mass, 0)]
