"""The command that asks the same again."""

from typing import Any

from inradius.bracketing.result import BracketResult

_SAME = "Equal hashes of model, data and code give equal numbers; another machine may round otherwise."
_YOURS = "model and data are those with the hashes above."
_CURVE = "Other radii of a curve may have decided examples here; this brackets the radius by itself."


def repeat(result: BracketResult) -> dict[str, Any]:
    """The command line of a run, or its call in Python, with what it needs and what it gives."""
    if result.command:
        return {"language": "shell", "command": result.command, "note": _SAME}
    note = f"{_YOURS} {_CURVE if result.setting.reuse else _SAME}"
    return {"language": "python", "command": _call(result), "note": note}


def _call(result: BracketResult) -> str:
    setting = result.setting
    options = {
        "attacks": list(setting.attacks.values()),
        "certifiers": list(setting.certifiers.values()),
        "union": setting.union,
        "seed": setting.seed,
        "audit": setting.audit,
        "exhaustive": setting.exhaustive,
        "optimize_model": setting.optimize_model,
        "accept_solver": setting.accept_solver,
        "claim": setting.claim,
        "outcome": setting.outcome,
        "votes": setting.votes,
        **({} if setting.time is None else {"time": setting.time}),
    }
    given = ["model", "data", repr(setting.threat), *(f"{name}={value!r}" for name, value in options.items())]
    lines = "".join(f"    {each},\n" for each in given)
    return f"inradius.bracket(\n{lines})"
