"""The evidence of a report as plain values, and its schema."""

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from inradius.bracketing.result import BracketResult
from inradius.bracketing.saved import spelled
from inradius.bracketing.summary import audit
from inradius.report.evidence import numbers, repeat
from inradius.report.evidence.declared import declarations
from inradius.report.evidence.seeds import seeds_of

FORMAT = 1
# the name of the schema, which is an address of nothing
SCHEMA = f"urn:inradius:evidence:{FORMAT}"
# of two equal runs on one machine only these differ
_OF_TIME = ("threads", "time")


def evidence(result: BracketResult, declared: Mapping[str, float] | None = None) -> dict[str, Any]:
    """The evidence of a report as values that JSON can hold, by the schema of ``schema()``.

    ``declared`` has the accuracies that were declared, by metric (``METRICS``). All but ``times`` is the same for the same run,
    also where it was killed and resumed, or shared by several processes; ``sha256`` is the hash of that. Raises ``InputError``
    for an unknown metric, and for a threshold that is no share.
    """
    results = numbers.accuracies(result)
    record = {
        "schema": SCHEMA,
        "format": FORMAT,
        "subject": _subject(result),
        "declared": declarations(declared or {}, results),
        "conditions": _conditions(result),
        "claims": numbers.MEANINGS,
        "results": results,
        "classes": numbers.classes(result),
        "attacks": numbers.attacks(result),
        "certifiers": numbers.certifiers(result),
        "audit": {"claim": numbers.MEASURED, **audit(result)},
        "doubts": list(result.flags),
        "hashes": _hashes(result),
        "environment": _environment(result),
        "repeat": repeat.repeat(result),
        "examples": [numbers.example(result, each) for each in result.examples],
    }
    plain: dict[str, Any] = spelled(record)
    return {**plain, "sha256": digest(plain), "times": spelled(_times(result))}


def digest(record: Mapping[str, Any]) -> str:
    """The SHA-256 of plain values as JSON with sorted keys and without spaces, in UTF-8, less ``sha256`` and ``times``."""
    kept = {name: value for name, value in record.items() if name not in ("sha256", "times", "inradius_sha256")}
    return hashlib.sha256(
        json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) that all evidence of this format follows."""
    found: dict[str, Any] = json.loads(files(__package__).joinpath("schema.json").read_text("utf-8"))
    return found


def _subject(result: BracketResult) -> dict[str, Any]:
    return {
        "model": result.setting.model,
        "data": result.setting.data,
        "examples": len(result.examples),
    }


def _conditions(result: BracketResult) -> dict[str, Any]:
    """The test conditions: the set and what counts as broken or as certified, the methods in full, and the seeds."""
    setting = result.setting
    return {
        "threat": setting.threat,
        "radius": setting.radius,
        "convention": setting.convention,
        "bounds": None if setting.bounds is None else list(setting.bounds),
        "outcome": setting.outcome,
        "claim": setting.claim,
        "accept_solver": setting.accept_solver,
        "union": setting.union,
        "attacks": list(setting.attacks.values()),
        "certifiers": list(setting.certifiers.values()),
        "seeds": {
            "run": setting.seed,
            "methods": {full: seeds_of(full) for full in (*setting.attacks.values(), *setting.certifiers.values())},
        },
        "votes": setting.votes,
        "exhaustive": setting.exhaustive,
        "audit": float(setting.audit),
        "optimize_model": setting.optimize_model,
        "other_radii": setting.reuse,
        "time": setting.time,
    }


def _hashes(result: BracketResult) -> dict[str, str]:
    setting = result.setting
    environment = json.dumps(_environment(result), sort_keys=True, separators=(",", ":")).encode()
    return {
        "weights": setting.weights,
        "model": setting.model_fingerprint,
        "data": setting.data_fingerprint,
        "code": setting.code,
        "environment": hashlib.sha256(environment).hexdigest(),
        "run": setting.key,
    }


def _environment(result: BracketResult) -> dict[str, Any]:
    return {name: value for name, value in result.environment.items() if name not in _OF_TIME}


def _times(result: BracketResult) -> dict[str, Any]:
    of_time = {name: result.environment.get(name) for name in _OF_TIME}
    return {"reported": of_time["time"], "threads": of_time["threads"], "seconds": dict(result.seconds)}
