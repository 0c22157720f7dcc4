"""HiGHS on a polytope: built once, asked for each cost."""

import math
from typing import Any

import attrs
import numpy as np

from inradius import UnsupportedError
from inradius_bounds.polytope import Polytope


@attrs.frozen(eq=False)
class Optimum:
    """What the solver found: the value, a bound that it proved by its own account, and the rows' multipliers."""

    value: float
    bound: float
    duals: Any
    optimal: bool


class Solver:
    """One polytope in HiGHS; ``minimise`` changes the cost alone, and begins at the last solution."""

    def __init__(self, polytope: Polytope, whole: Any | None = None, seconds: float | None = None) -> None:
        highspy = _highspy()
        self._infinity = float(highspy.kHighsInf)
        self._module = highspy
        self._size, self._rows = len(polytope.lower), polytope.matrix.shape[0]
        self._highs = highspy.Highs()
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        if seconds is not None:
            self._highs.setOptionValue("time_limit", seconds)
        self._highs.passModel(self._model(polytope, whole))

    def _model(self, polytope: Polytope, whole: Any | None) -> Any:
        model = self._module.HighsLp()
        matrix = polytope.matrix
        model.num_col_, model.num_row_ = self._size, matrix.shape[0]
        model.col_cost_ = np.zeros(self._size)
        model.col_lower_, model.col_upper_ = self._finite(polytope.lower), self._finite(polytope.upper)
        model.row_lower_, model.row_upper_ = self._finite(polytope.row_lower), self._finite(polytope.row_upper)
        model.a_matrix_.format_ = self._module.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
        model.a_matrix_.value_ = matrix.data
        if whole is not None and len(whole):
            kinds = [self._module.HighsVarType.kContinuous] * self._size
            for column in whole:
                kinds[int(column)] = self._module.HighsVarType.kInteger
            model.integrality_ = kinds
        return model

    def minimise(self, columns: Any, cost: Any) -> Optimum:
        """The minimum of cost · v[columns]."""
        full = np.zeros(self._size)
        full[columns] = cost
        self._highs.changeColsCost(self._size, np.arange(self._size, dtype=np.int32), full)
        self._highs.run()
        status, info = self._highs.getModelStatus(), self._highs.getInfo()
        optimal = status == self._module.HighsModelStatus.kOptimal
        stopped = status in (self._module.HighsModelStatus.kTimeLimit, self._module.HighsModelStatus.kInterrupt)
        if not optimal and not stopped:
            # a solver that gives up says nothing: multipliers of 0 make a bound, and there is no better one
            return Optimum(math.nan, -math.inf, np.zeros(self._rows), False)
        duals = np.asarray(self._highs.getSolution().row_dual)
        value = float(info.objective_function_value)
        bound = float(info.mip_dual_bound)
        return Optimum(value, bound, duals, optimal)

    def _finite(self, values: Any) -> Any:
        return np.clip(values, -self._infinity, self._infinity)


def _highspy() -> Any:
    try:
        import highspy
    except ImportError as error:
        raise UnsupportedError('highspy is not installed; pip install "inradius[lp]"') from error
    return highspy
