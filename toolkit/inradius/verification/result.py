"""What a verification found, as a value."""

from typing import Literal

import attrs
from torch import Tensor

Status = Literal["unsat", "sat", "unknown", "timeout"]

# the exit code of ``inradius verify`` for each status
EXIT_CODES: dict[str, int] = {"unsat": 0, "sat": 10, "unknown": 11, "timeout": 12}


@attrs.frozen(eq=False)
class VerificationResult:
    """The answer about a property: proved, violated by a witness, or neither.

    status: "unsat", the property is proved; "sat", the ``witness`` violates it; "timeout", the time was over before either;
    "unknown", the methods ended with neither. witness (1, *S): an input x + δ of the region whose ``outputs`` (1, O), those of the
    model on this input alone, violate the property without any tolerance; None for every other status. bound: a number below the
    lowest clause in all of the region, by one row of each clause and less all rounding errors; None where the bounds of some part
    were not computed, or where several rows prove a clause together. A file's comparison of weights that the type of the inputs
    does not hold counts in a multiple that it holds. claim: the level of the proof, as in ``Certificate.claim``; None without one.
    With the status "unknown" or "timeout" there is a proof at this level, which is weaker than the one that was asked for. seconds:
    how long it took.
    """

    status: Status
    witness: Tensor | None = None
    outputs: Tensor | None = None
    bound: float | None = None
    claim: str | None = None
    seconds: float = 0.0

    @property
    def answered(self) -> bool:
        """True where the property is proved or violated."""
        return self.status in ("unsat", "sat")
