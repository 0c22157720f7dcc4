"""Transfer: what a surrogate misclassifies is tried on the model."""

from typing import ClassVar

import attrs
from attrs.validators import instance_of, optional
from torch import Tensor

from inradius import AttackBatch, Observer
from inradius.attacks.composite import WrappingAttack
from inradius.models.frozen_network import frozen_network, hashed, hashed_spec
from inradius.sets.examples import expand


@attrs.frozen(kw_only=True)
class Transfer(WrappingAttack):
    """The answer of an attack on another network, the surrogate; the model itself is asked for its verdict alone.

    ``model`` is a spec or ``file.py:factory``, as ``inradius.load_model`` reads it, ``weights`` a file with its weights.
    Both files enter the spec with the hash of their content. Answers outside of Δ(x) are projected. An attack with
    ``keep_maximising=True`` goes on beyond the surrogate's boundary, and carries over more often.
    Source: papernot2017.
    """

    black_box: ClassVar[bool] = True
    model: str = attrs.field(validator=instance_of(str), converter=hashed_spec)
    weights: str | None = attrs.field(default=None, validator=optional(instance_of(str)), converter=hashed)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        x = batch.x
        other = batch.model.on(frozen_network(self.model, self.weights, x.device, x.dtype))
        # the attack's seed counts beside this one's
        own = attrs.evolve(batch, model=other, rng=batch.rng.fork(self.attack.seed))
        delta, inside = self.attack.answer(own, observe=observe)
        return delta if bool(inside.all()) else delta.where(expand(inside, delta), batch.threat.project(delta, x))
