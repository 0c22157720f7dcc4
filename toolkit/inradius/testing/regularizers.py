"""Laws of regularizers, one function each; ``LAWS`` lists them all. Each trains a tiny network on a few examples."""

import attrs

from inradius.testing.components import spec_round_trip
from inradius.testing.small_runs import RUN_LAWS, RunCase, ended, equal
from inradius.training.run import Run
from inradius.training.slots import Regularizer


def penalties_are_finite(regularizer: Regularizer, case: RunCase) -> None:
    """A penalty is one finite number for each example, (B,), or one number, ()."""

    def look(run: Run) -> None:
        assert run.seen is not None
        penalty, count = regularizer.penalty(run.model, run.seen, case.threat, run), len(run.seen.batch)
        assert penalty.shape in ((), (count,)), f"the penalty of {count} examples has the shape {tuple(penalty.shape)}"
        assert bool(penalty.isfinite().all()), "a penalty is NaN or infinite"

    ended(case, watch=look)


def without_weight_it_changes_nothing(regularizer: Regularizer, case: RunCase) -> None:
    """With weight 0 a run ends with the weights of a run without it, bit for bit: it draws no global random numbers."""
    silent = attrs.evolve(regularizer, weight=0.0)
    assert equal(ended(case, silent), ended(case)), "with weight 0 the run ends with other weights than without it"


LAWS = (spec_round_trip, penalties_are_finite, without_weight_it_changes_nothing, *RUN_LAWS)
