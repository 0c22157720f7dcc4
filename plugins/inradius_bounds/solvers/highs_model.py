"""A polytope as HiGHS' own model."""

from typing import Any

import numpy as np

from inradius import UnsupportedError
from inradius_bounds.solvers.polytope import Polytope


def highs_module() -> Any:
    """The module highspy. Raises ``UnsupportedError`` where it is not installed."""
    try:
        import highspy
    except ImportError as error:
        raise UnsupportedError('highspy is not installed; pip install "inradius[lp]"') from error
    return highspy


def highs_model(polytope: Polytope, whole: Any) -> Any:
    """The polytope as a model without a cost, whose columns ``whole`` hold whole numbers."""
    module = highs_module()
    model, matrix, size = module.HighsLp(), polytope.matrix, len(polytope.lower)
    model.num_col_, model.num_row_ = size, matrix.shape[0]
    model.col_cost_ = np.zeros(size)
    model.col_lower_, model.col_upper_ = _finite(module, polytope.lower), _finite(module, polytope.upper)
    model.row_lower_, model.row_upper_ = _finite(module, polytope.row_lower), _finite(module, polytope.row_upper)
    model.a_matrix_.format_ = module.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
    model.a_matrix_.value_ = matrix.data
    if len(whole):
        kinds = [module.HighsVarType.kContinuous] * size
        for column in whole:
            kinds[int(column)] = module.HighsVarType.kInteger
        model.integrality_ = kinds
    return model


def _finite(module: Any, values: Any) -> Any:
    return np.clip(values, -float(module.kHighsInf), float(module.kHighsInf))
