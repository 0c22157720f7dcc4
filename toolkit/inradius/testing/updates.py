"""Laws of updates, one function each; ``LAWS`` lists them all. Each trains a tiny network on a few examples."""

import attrs
import torch

from inradius.testing.components import spec_round_trip
from inradius.testing.small_runs import RUN_LAWS, KilledError, RunCase, ended
from inradius.training.descent import Descent
from inradius.training.slots import Update


@attrs.define(eq=False, kw_only=True)
class _Failing(Descent):
    """A descent whose second gradient raises."""

    inner: Descent
    gradients: int = 0
    steps: int = 0

    def gradient(self, *, ahead: bool = False, reattack: bool = False) -> float:
        self.gradients += 1
        if self.gradients > 1 and not self.steps:
            raise KilledError
        return self.inner.gradient(ahead=ahead, reattack=reattack)

    def step(self) -> None:
        self.steps += 1
        self.inner.step()


@attrs.frozen(kw_only=True)
class _Interrupted(Update):
    """An update that is interrupted once, and then goes on undisturbed."""

    inner: Update

    def __call__(self, descent: Descent) -> None:
        before = [parameter.detach().clone() for parameter in descent.parameters]
        failing = _Failing(
            run=descent.run, model=descent.model, batch=descent.batch, ahead=descent.ahead, inner=descent
        )
        try:
            self.inner(failing)
        except KilledError:
            pairs = zip(before, descent.parameters, strict=True)
            # what is added and subtracted again may round
            assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs), "the weights are left elsewhere"
            descent.gradient()
            descent.step()


def weights_are_put_back(update: Update, case: RunCase) -> None:
    """Where a gradient raises, weights that were moved to look elsewhere are put back."""
    ended(case, _Interrupted(inner=update))


LAWS = (spec_round_trip, weights_are_put_back, *RUN_LAWS)
