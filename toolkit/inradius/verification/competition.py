"""Results in the format of the verification competition VNN-COMP."""

from torch import Tensor

from inradius.verification.result import VerificationResult


def result_text(result: VerificationResult) -> str:
    """The status in the first line; for "sat" then the witness, its inputs as X and its outputs as Y, each number exactly."""
    if result.witness is None or result.outputs is None:
        return f"{result.status}\n"
    lines = [*_lines("X", result.witness), *_lines("Y", result.outputs)]
    pairs = "\n".join(lines)
    return f"{result.status}\n({pairs})\n"


def _lines(name: str, values: Tensor) -> list[str]:
    # the shortest decimals that give back the double, and so every number of a shorter type
    return [f"({name}_{place} {value!r})" for place, value in enumerate(values.double().flatten().tolist())]
