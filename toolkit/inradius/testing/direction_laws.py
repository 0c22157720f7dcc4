"""Laws of directions, one function each; ``LAWS`` lists them all. Each trains a tiny network under two perturbations."""

import attrs

from inradius.testing.components import spec_round_trip
from inradius.testing.small_runs import RUN_LAWS, RunCase, ended
from inradius.training.descent import Descent
from inradius.training.slots import Direction, Update


@attrs.frozen(kw_only=True)
class _Looking(Update):
    """The optimiser's step, after a look at the gradient."""

    def __call__(self, descent: Descent) -> None:
        descent.gradient()
        for parameter in descent.parameters:
            assert parameter.grad is not None, "a parameter has no gradient"
            assert parameter.grad.shape == parameter.shape, f"a gradient has the shape {tuple(parameter.grad.shape)}"
            assert bool(parameter.grad.isfinite().all()), "a gradient is NaN or infinite"
        descent.step()


def every_weight_has_a_gradient(direction: Direction, case: RunCase) -> None:
    """Every parameter is left with a finite gradient of its shape."""
    ended(case, direction, _Looking())


LAWS = (spec_round_trip, every_weight_has_a_gradient, *RUN_LAWS)
