"""The referee: the answer of an attack is judged again, by code that had no part in finding it."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from inradius.attacks.counted_model import CountedModel
from inradius.attacks.verdict import judge
from inradius.data.dataset import Dataset
from inradius.errors import PluginError
from inradius.models.modes import full_precision
from inradius.outcomes.classes import TOP1
from inradius.outcomes.outcome import Outcome
from inradius.sets.box import excess
from inradius.sets.oracles import Oracles
from inradius.sets.threat_model import ThreatModel

# that of ``contains``: the rounding of float32 on sums of a few hundred pixels
TOLERANCE = 1e-5

# the integer type that shows the bits of a number, by its size in bytes
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@attrs.frozen(eq=False)
class Ruling:
    """The judgement of an answer, each field (B,), and the perturbation itself (B, *S), 0 where it was not finite.

    inside: finite, gauge ≤ 1, no hard constraint violated, in the box of valid inputs; success: inside, and the example is
    broken at x + δ beyond rounding; within_rounding: inside, and rounding decides; margin: that of the outcome there, by default
    the label's logit minus the largest other one; gauge and violation: those of the set.
    """

    delta: Tensor
    inside: Tensor
    success: Tensor
    within_rounding: Tensor
    margin: Tensor
    gauge: Tensor
    violation: Tensor

    def columns(self, queries: Tensor | None = None) -> dict[str, Tensor]:
        """The columns of a run's record, (B,) each; ``queries`` are the images of the search, by default the referee's own."""
        return {
            "success": self.success,
            "within_rounding": self.within_rounding & self.inside,
            "margin": self.margin,
            "gauge": self.gauge,
            "violation": self.violation,
            "inside": self.inside,
            "queries": torch.ones_like(self.inside, dtype=torch.int64) if queries is None else queries,
        }


def rule(
    model: Callable[[Tensor], Tensor],
    threat: ThreatModel,
    batch: Dataset,
    answer: object,
    asker: object,
    outcome: Outcome = TOP1,
) -> Ruling:
    """The ruling on the answer of ``asker`` for a batch as the data have it, by a forward pass of the plain model in its own type.

    An answer close to a tie is run again, alone and in float64; it is a success only if it is broken each time,
    as ``outcome`` sees it.

    Raises ``PluginError`` for an answer that is no perturbation of the batch.
    """
    x = batch.inputs
    if not isinstance(answer, Tensor) or answer.shape != x.shape or not answer.is_floating_point():
        given = f"{answer.dtype} {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
        raise PluginError(f"{asker} answered with {given}; it must be perturbations of shape {tuple(x.shape)}")
    delta = answer.detach().to(x)
    finite = delta.isfinite().flatten(1).all(1)
    delta = torch.where(finite.view(-1, *(1,) * (x.ndim - 1)), delta, 0.0)
    with torch.no_grad(), full_precision():
        gauge, violation, members = _measured(threat.at(batch.index, x), delta, x)
        inside = finite & members
        outputs = CountedModel(model, batch.labels, outcome=outcome).outputs(x + delta)
        found = judge(model, x, delta, outputs, batch.labels, among=inside, outcome=outcome)
    return Ruling(delta, inside, inside & found.lost, found.unclear, found.margin, gauge, violation)


def _measured(threat: Oracles, delta: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gauge, the violation, and True for members, (B,) each; a member of a union is a member of one of its members."""
    parts = threat.members()
    sides = [
        (part.gauge(delta, x), torch.maximum(part.violation(delta, x), _outside(part, delta, x))) for part in parts
    ]
    members = torch.stack([(gauge <= 1 + TOLERANCE) & (over <= TOLERANCE) for gauge, over in sides]).any(0)
    if len(parts) == 1:
        return *sides[0], members
    return threat.gauge(delta, x), threat.violation(delta, x), members


def _outside(part: Oracles, delta: Tensor, x: Tensor) -> Tensor:
    """The distance of x + δ to the box of valid inputs that the set declares, (B,), independent of its ``violation``."""
    return excess(delta, x, part.bounds)


def weights_seal(model: nn.Module) -> tuple[int, ...]:
    """A sum of the bits of every parameter and buffer, one integer each; it changes where an attack writes on the model."""
    return tuple(int(_bits(value).sum()) for value in (*model.parameters(), *model.buffers()))


def _bits(value: Tensor) -> Tensor:
    plain = torch.view_as_real(value.detach()) if value.is_complex() else value.detach()
    return plain.contiguous().view(_BITS[plain.element_size()]).to(torch.int64)
