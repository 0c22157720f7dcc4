"""Perturbations of images that are stored with few bits."""

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, Observer
from inradius.attacks.ascent import gradient_of
from inradius.attacks.best_so_far import BestSoFar
from inradius.attacks.composite import WrappingAttack
from inradius.attacks.verdict import certain
from inradius.components.validators import count
from inradius_combinators.grid import Grid


def _bits(_: object, field: "attrs.Attribute[int]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 16:
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is an integer from 1 to 16")


@attrs.frozen(kw_only=True)
class OnGrid(WrappingAttack):
    """The answer of an attack at inputs x + δ that 2^bits levels of the box hold, as the pixels of a stored image are.

    The answer is drawn towards 0 by the smallest share at which its nearest levels lie in Δ(x). Examples that are not
    misclassified there take ``rounds`` steps of PGD, each rounded in the same way, unless the attack asks for no gradient. The
    best point by the objective is returned. After an attack for the smallest perturbation, points of up to 1.2 times its length
    are tried, and the smallest gauge that is misclassified counts. Inputs must lie on the levels themselves. In sets whose members
    keep a sum, such as Wasserstein balls, few points are levels, so that δ = 0 is a frequent answer. Raises ``InputError`` for
    inputs between levels, and for sets without a box.
    """

    positional = ("attack", "bits")

    bits: int = attrs.field(default=8, validator=_bits)
    rounds: int = attrs.field(default=10, validator=count)

    @property
    def minimal(self) -> bool:  # type: ignore[override]
        return self.attack.minimal

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        grid = Grid.of(batch.threat.bounds, batch.x, self.bits)
        grid.check(batch.x)
        own = attrs.evolve(batch, rng=batch.rng.fork(self.attack.seed))
        delta, inside = self.attack.answer(own)
        with torch.no_grad():
            return self._rounded(batch, grid, delta, inside, observe)

    def _rounded(
        self, batch: AttackBatch, grid: Grid, delta: Tensor, inside: Tensor, observe: Observer | None
    ) -> Tensor:
        """The best point of levels, from the answer of the attack."""
        found = BestSoFar(batch, observe)
        self._enter(found, batch, torch.zeros_like(delta))
        if self.minimal:
            for longer in (1.0, 1.01, 1.02, 1.05, 1.1, 1.2):
                self._enter(found, batch, grid.nearest(longer * delta, batch.x))
            return found.best
        delta = torch.where(inside.view(-1, *(1,) * (delta.ndim - 1)), delta, 0.0)
        self._enter(found, batch, grid.inside(delta, batch.x, batch.threat))
        # an attack without gradients stays one
        for _ in range(0 if self.is_black_box() else self.rounds):
            part = found.survivors()
            if not len(part):
                break
            self._enter(found, part, self._stepped(grid, part, found.best[part.rows]))
        return found.best

    def _stepped(self, grid: Grid, part: AttackBatch, delta: Tensor) -> Tensor:
        """A step of PGD of half the radius, rounded to levels within the set."""
        point = delta.detach().requires_grad_()
        with torch.enable_grad():
            _, value = part.score(point, self.maximised())
        step = part.threat.steepest(gradient_of(value, point), part.x, delta, rng=part.rng)
        return grid.inside(part.threat.project(delta + 0.5 * step, part.x), part.x, part.threat)

    def _enter(self, found: BestSoFar, part: AttackBatch, delta: Tensor) -> None:
        logits, value = part.score(delta, self.maximised())
        beyond = certain(logits, part.y, part.goal)
        if self.minimal:
            value = torch.where(beyond, -part.threat.gauge(delta, part.x), -torch.inf)
        goes_on = self.minimal or self.goes_on()
        found.record(part, delta, value, None if goes_on else beyond)
        found.show(part, delta)
