"""Transfer: what fools a surrogate is tried on the model."""

from typing import ClassVar

import attrs
from attrs.validators import instance_of, optional
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Oracles
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.attacks.composite import answer, check_goals
from inradius.components.validators import component
from inradius.models.frozen_network import frozen_network, hashed, hashed_spec
from inradius.sets.examples import expand


@attrs.frozen(kw_only=True)
class Transfer(Attack):
    """The answer of an attack on another network, the surrogate; the model itself is asked for its verdict alone.

    ``model`` is a spec or ``file.py:factory``, as ``inradius.load_model`` reads it, ``weights`` a file with its weights.
    Both files enter the spec with the hash of their content. Answers outside of Δ(x) are projected. An attack with
    ``keep_maximising=True`` goes on beyond the surrogate's boundary, and carries over more often.
    Source: papernot2017.
    """

    black_box: ClassVar[bool] = True
    positional = ("attack",)

    attack: Attack = attrs.field(validator=component(Attack))
    model: str = attrs.field(validator=instance_of(str), converter=hashed_spec)
    weights: str | None = attrs.field(default=None, validator=optional(instance_of(str)), converter=hashed)

    def perturb(
        self,
        model: CountedModel,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        rng: ExampleRNG,
        *,
        start: Tensor | None = None,
        observe: Observer | None = None,
        goal: Tensor | None = None,
    ) -> Tensor:
        check_goals(self, (self.attack,), goal)
        other = CountedModel(frozen_network(self.model, self.weights, x.device, x.dtype), y, goal)
        # the attack's seed counts beside this one's
        part = Part.whole(other, x, y, threat, rng.fork(self.attack.seed), goal)
        delta, inside = answer(self.attack, part, start=start, observe=observe)
        return delta.where(expand(inside, delta), threat.project(delta, x)) if not bool(inside.all()) else delta
