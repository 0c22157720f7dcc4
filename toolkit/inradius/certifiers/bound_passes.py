"""The passes of a certificate: bounds in the model's type, in float64, and at level "real"."""

from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from inradius.certifiers.bounds_so_far import BoundsSoFar
from inradius.certifiers.certificate import Bounds
from inradius.certifiers.certificate_in_progress import at_level, current_certificate
from inradius.certifiers.search_states import within
from inradius.outcomes.property import Property
from inradius.sets.oracles import Oracles


@attrs.frozen(eq=False)
class VerificationQuery:
    """The statement that is to be proved of a batch: its inputs x (B, *S), the property, and the examples' numbers (B,)."""

    x: Tensor
    prop: Property
    where: Tensor

    def select(self, rows: Tensor) -> "VerificationQuery":
        """The query about the chosen examples."""
        return VerificationQuery(self.x[rows], self.prop.select(rows), self.where[rows])

    def to(self, dtype: torch.dtype) -> "VerificationQuery":
        """The query in another type. A narrower type asks for no less."""
        return VerificationQuery(self.x.to(dtype), self.prop.to(dtype), self.where)


@attrs.frozen(eq=False)
class BoundPasses:
    """The repeated calls of a certifier's ``bound`` that make one certificate.

    ``widens`` is true where the certifier takes inputs in a wider type than the model's own.
    """

    bound: Callable[[VerificationQuery, Oracles], Bounds]
    widens: bool

    def __call__(self, asked: VerificationQuery, members: Sequence[Oracles]) -> BoundsSoFar:
        """Bounds over all members of a union, each example at the strongest level at which it is proved.

        Some examples are not proved at level "float", and might be proved without the cost of that level. They are tried again
        at level "real".
        """
        proof = current_certificate()
        assert proof is not None, "no certificate is in progress"
        found = BoundsSoFar.over(_each(lambda member: self._member(asked, member), members), asked.prop)
        rows = found.rounded_rows(asked.prop)
        if proof.claim == "real" or not len(rows):
            return found
        with at_level("real"):
            again = self._retried(asked.select(rows), [member.select(rows) for member in members])
        proved = again.certified(asked.prop.select(rows)).nonzero().squeeze(1)
        return found.replace(rows[proved], again.select(proved)) if len(proved) else found

    def _member(self, asked: VerificationQuery, member: Oracles) -> BoundsSoFar:
        """Bounds over one set. Examples that the certifier's rounding leaves open are bounded again in float64."""
        own = asked.x.dtype
        half = self.widens and torch.finfo(own).bits < 32
        found = self._once(asked.to(torch.float32 if half else own), member)
        rows = found.open_rows(asked.prop)
        if not self.widens or own == torch.float64 or not len(rows):
            return found
        return found.replace(rows, self._once(asked.select(rows).to(torch.float64), member.select(rows)))

    def _retried(self, asked: VerificationQuery, members: Sequence[Oracles]) -> BoundsSoFar:
        """Bounds over all members in the widest type that the certifier takes."""
        wide = asked.to(torch.float64 if self.widens else asked.x.dtype)
        return BoundsSoFar.over(_each(lambda member: self._once(wide, member), members), wide.prop)

    def _once(self, asked: VerificationQuery, member: Oracles) -> BoundsSoFar:
        return BoundsSoFar.of(self.bound(asked, member), asked.x.dtype, asked.prop)


def _each(bounds: Callable[[Oracles], BoundsSoFar], members: Sequence[Oracles]) -> list[BoundsSoFar]:
    """The bounds over each member of a union."""
    found = []
    for number, member in enumerate(members):
        with within("member", number):
            found.append(bounds(member))
    return found
