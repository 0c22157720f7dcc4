"""Inputs that may violate a property: the minimisers of the bounds of domains, and descent from them."""

import attrs
import torch
from torch import Tensor, nn

from inradius import Oracles
from inradius.models.slope import slope
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.search_limit import SearchLimit

# the shares of a perturbation that are tried after all of it, and after two units in the last place less
_SHARES = (1 - 2.0**-40, 1 - 2.0**-20)


@attrs.frozen(eq=False)
class WitnessSearch:
    """The search for perturbations of one example x (1, *S) at which a clause fails. x has the type of the model's inputs.

    They are looked for in the set ``part``. They count where they are members of ``whole``, which contains it up to rounding.
    Descents end when the time of ``limit`` is over.
    """

    model: nn.Module
    x: Tensor
    part: Oracles
    whole: Oracles
    clauses: Clauses
    limit: SearchLimit = attrs.field(factory=SearchLimit)

    def minimisers(self, rows: Tensor) -> Tensor:
        """The members of Δ(x) at which linear functions of the input are smallest, rows (D, *S) -> (D, *S)."""
        return _many(self.part, rows).linear_max(-rows.to(self.x), self.x.expand(len(rows), *self.x.shape[1:]))

    @torch.no_grad()
    def found(self, delta: Tensor) -> Tensor | None:
        """The first of some perturbations (D, *S) that violates the property, (1, *S); None where none does.

        One that rounding has put outside of the set is drawn towards 0, and for sets that are not convex projected.
        """
        bad = self.clauses.violated(self._outputs(self.x + delta))
        for share in (1.0, 1 - 2 * torch.finfo(delta.dtype).eps, *_SHARES):
            if not bool(bad.any()):
                return None
            near = share * delta[bad]
            many, x = _many(self.whole, near), self.x.expand_as(near)
            near = near if self.whole.convex else many.project(near, x)
            kept = many.contains(near, x, tol=0.0) & self.clauses.violated(self._outputs(x + near))
            for place in kept.nonzero()[:, 0].tolist():
                if self._holds_alone(near[place : place + 1]):
                    return near[place : place + 1]
        return None

    def _holds_alone(self, delta: Tensor) -> bool:
        """True where δ (1, *S) is a violation in exact arithmetic, without others beside it, which may round differently."""
        outputs = self._outputs(self.x + delta)
        inside = bool(self.whole.contains(delta, self.x, tol=0.0).all() & self._inside_in_float64(delta))
        return inside and bool(outputs.isfinite().all()) and self.clauses.exactly_violated(outputs)

    def _inside_in_float64(self, delta: Tensor) -> Tensor:
        """True where δ (1, *S) lies in the set whose sizes are not rounded to the type of x, over which proofs hold, (1,)."""
        return self.whole.contains(delta.double(), self.x.double(), tol=0.0)

    def _outputs(self, points: Tensor) -> Tensor:
        outputs: Tensor = self.model(points)
        return outputs.flatten(1).to(self.clauses.offsets)

    def descended(self, delta: Tensor, clause: Tensor, steps: int) -> Tensor | None:
        """A violation found by projected steps of steepest descent of each clause's largest row, (1, *S); None where none is.

        delta (D, *S): the starts; clause (D,): the clause that each of them descends.
        """
        many, x = _many(self.part, delta), self.x.expand_as(delta)
        weights, offsets = self.clauses.weights[clause], self.clauses.offsets[clause]
        used = self.clauses.used[clause]
        for step in range(steps):
            at = delta.detach().requires_grad_()
            with torch.enable_grad():
                outputs = self._outputs(x + at)
                rows = (weights @ outputs[..., None]).squeeze(2) + offsets
                value = torch.where(used, rows, -torch.inf).amax(1)
                gradient = slope(value, at)
            if bool((value <= 0).any()):
                found = self.found(delta)
                if found is not None:
                    return found
            if self.limit.over:
                break
            rate = 0.5 * (1 - step / steps) + 0.02
            delta = many.project(delta + rate * many.steepest(-gradient, x, delta), x).detach()
        return self.found(delta)


def _many(threat: Oracles, like: Tensor) -> Oracles:
    """The set of one example, once for each entry of ``like``."""
    return threat.select(torch.zeros(len(like), dtype=torch.int64, device=like.device))
