"""A network against the query of a file."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import attrs
import torch
from torch import Tensor, nn

from inradius.certifiers.certificate import Claim
from inradius.certifiers.certifier import Certifier
from inradius.models.modes import frozen
from inradius.verification.clock import Clock
from inradius.verification.decide import decide
from inradius.verification.network import FlatNetwork, check_sizes, check_type
from inradius.verification.question import Question, Witness
from inradius.verification.region import Region
from inradius.verification.result import VerificationResult
from inradius.verification.vnnlib.clauses import safe_property, uses_inputs
from inradius.verification.vnnlib.query import Case, Query

Run = Callable[[Tensor], Tensor]


def verify_query(
    network: nn.Module,
    query: Query,
    clock: Clock,
    *,
    shape: Sequence[int],
    dtype: torch.dtype,
    certifier: Certifier,
    claim: Claim,
    replay: Run | None = None,
    seed: int = 0,
) -> VerificationResult:
    """The result for a query: "sat" with an unsafe input of the region, or "unsat" if none exists. Inputs have shape (*S).

    A witness consists of floating-point numbers that lie in the region of the file's decimal numbers, and is unsafe in exact
    arithmetic with the outputs that the network gives for it alone, and with those of ``replay`` where it is given.
    """
    check_type(dtype)
    with frozen(network):
        check_sizes(network, query, shape, dtype)
        questions = [_question(network, shape, query, case, dtype, replay) for case in query.cases]
        return decide(questions, certifier, clock, claim, seed)


def _question(
    network: nn.Module, shape: Sequence[int], query: Query, case: Case, dtype: torch.dtype, replay: Run | None
) -> Question:
    region = Region.of(case.lower, case.upper, shape, dtype)
    model = FlatNetwork(network, with_inputs=uses_inputs(case.unsafe)).eval()
    prop = safe_property(case.unsafe, query.outputs, query.inputs, dtype)
    runs = (network,) if replay is None else (network, replay)
    return Question(model, region.x, region.threat, prop, _Judge(query, region, runs), region.inhabited)


@attrs.frozen(eq=False)
class _Judge:
    """Accepts inputs that are unsafe in exact arithmetic, by the outputs of every run."""

    query: Query
    region: Region
    runs: tuple[Run, ...]

    def __call__(self, point: Tensor) -> Witness | None:
        """The witness at the nearest input within the region, or None; its outputs are those of the last run."""
        inside = self.region.inside(point)
        x, outputs = _exact(inside), inside
        for run in self.runs:
            with torch.no_grad():
                outputs = run(inside.clone()).reshape(1, -1)
            if not bool(outputs.isfinite().all()) or not self.query.holds(x, _exact(outputs)):
                return None
        return Witness(inside, outputs)


def _exact(values: Tensor) -> list[Fraction]:
    return [Fraction(value) for value in values.flatten().tolist()]
