"""HiGHS on a polytope: built once, and solved for each cost."""

import math
from typing import Any

import attrs
import numpy as np

from inradius_bounds.solvers.highs_model import highs_model, highs_module
from inradius_bounds.solvers.polytope import Polytope

# HiGHS' numbers for the dual and the primal simplex method
_DUAL, _PRIMAL = 1, 4
# where only a sign is wanted, a search ends at this gap between bound and value, relative to the value; then the bound of a
# positive value is positive
_GAP = 0.999
# HiGHS does not treat larger numbers as finite, and has crashed on programs that hold them
_LARGEST = 1e15


@attrs.frozen(eq=False)
class Optimum:
    """The answer of the solver: the value, the bound that it claims, and the rows' multipliers.

    ``failure`` says how the solver failed, and is empty for an answer. Without an answer the value is NaN and the bound is −∞.
    ``late`` is True where the limit of time ended a linear program, which has no answer then.
    """

    value: float
    bound: float
    duals: Any
    failure: str = ""
    late: bool = False


@attrs.frozen
class SearchTarget:
    """The two ends of a search: it stops at a lower bound above ``proved`` or at a value below ``refuted`` ≤ ``proved``."""

    proved: float
    refuted: float

    def less(self, constant: float) -> "SearchTarget":
        """The target for values from which a constant was subtracted."""
        return SearchTarget(self.proved - constant, self.refuted - constant)


class HighsSolver:
    """One polytope in HiGHS. ``minimise`` changes the cost alone, and begins at the last solution.

    The optimum for one cost is feasible for the next, so a linear program goes on with the primal simplex method. From the same
    point the dual method, HiGHS' default, took nine times as long for a network of 4804 neurons.
    """

    def __init__(self, polytope: Polytope, whole: Any = (), seconds: float | None = None) -> None:
        self._module = highs_module()
        self._size, self._rows = len(polytope.lower), polytope.matrix.shape[0]
        self._linear = not len(whole)
        sides = (polytope.lower, polytope.upper, polytope.row_lower, polytope.row_upper, polytope.matrix.data)
        self._too_large = any(bool((np.isfinite(side) & (np.abs(side) > _LARGEST)).any()) for side in sides)
        self._highs = self._module.Highs()
        self._set("output_flag", False)
        self._set("threads", 1)
        self._gap = self._highs.getOptionValue("mip_rel_gap")[1]
        if seconds is not None and not self._linear:
            # the limit is for each search; a linear program that is cut short has no answer
            self._set("time_limit", seconds)
        self._highs.passModel(highs_model(polytope, whole))

    def minimise(
        self, columns: Any, cost: Any, sign: SearchTarget | None = None, seconds: float | None = None
    ) -> Optimum:
        """The minimum of cost · v[columns]. With ``sign``, a search over whole numbers ends at that target.

        ``seconds`` limits a linear program.
        """
        if self._too_large or np.abs(cost).max(initial=0.0) > _LARGEST:
            return self._none(f"the program holds numbers beyond {_LARGEST:g}, which HiGHS does not take")
        full = np.zeros(self._size)
        full[columns] = cost
        self._highs.changeColsCost(self._size, np.arange(self._size, dtype=np.int32), full)
        shift = self._aim(sign)
        if self._linear:
            # HiGHS counts the seconds of all its runs together
            self._set("time_limit", math.inf if seconds is None else self._highs.getRunTime() + seconds)
        found = self._run(shift)
        if found.late:
            return found
        if found.failure:
            self._restart()
            found = self._run(shift)
        if found.failure:
            self._restart()
        elif self._linear:
            self._set("simplex_strategy", _PRIMAL)
        return found

    def _aim(self, sign: SearchTarget | None) -> float:
        """Sets the end of the search; the constant that HiGHS subtracts from its values, as its gap is relative to them."""
        shift = 0.0 if sign is None else sign.proved
        self._highs.changeObjectiveOffset(-shift)
        self._set("mip_rel_gap", self._gap if sign is None else _GAP)
        self._set("objective_target", -math.inf if sign is None else sign.refuted - shift)
        return shift

    def _restart(self) -> None:
        """Drops the last solution, and turns presolve off from now on. HiGHS' presolve may take thin programs for empty."""
        self._highs.clearSolver()
        self._set("presolve", "off")
        self._set("simplex_strategy", _DUAL)

    def _run(self, shift: float) -> Optimum:
        """The answer to the program as it stands."""
        self._highs.run()
        status, info = self._highs.getModelStatus(), self._highs.getInfo()
        if self._linear and status == self._module.HighsModelStatus.kTimeLimit:
            return attrs.evolve(self._none("the time is over"), late=True)
        if status not in self._ends():
            return self._none(f"HiGHS ended with {status.name}")
        value, bound = (float(number) + shift for number in (info.objective_function_value, info.mip_dual_bound))
        duals = np.asarray(self._highs.getSolution().row_dual)
        sound = math.isfinite(value) and np.isfinite(duals).all() if self._linear else bound < math.inf
        return Optimum(value, bound, duals) if sound else self._none("HiGHS answered with numbers that are not finite")

    def _ends(self) -> tuple[Any, ...]:
        """HiGHS' states that are answers: any end of a search, which has a bound then; of a linear program the optimum alone."""
        kinds = self._module.HighsModelStatus
        return (kinds.kOptimal,) if self._linear else (kinds.kOptimal, kinds.kTimeLimit, kinds.kObjectiveTarget)

    def _none(self, failure: str) -> Optimum:
        return Optimum(math.nan, -math.inf, np.zeros(self._rows), failure)

    def _set(self, option: str, value: Any) -> None:
        self._highs.setOptionValue(option, value)
