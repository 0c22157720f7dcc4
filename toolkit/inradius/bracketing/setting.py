"""What a bracket was asked."""

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Setting:
    """Everything that determines a report: the specs in full, the model, the data, and how the run was done.

    attacks, certifiers: the full spec of each, by the short one that the examples name; radius: the threat model's
    ``eps``, None where it has none; convention: what that radius measures, where the set says it; bounds: the box of valid
    inputs; code: the hash of the source of inradius and of the methods' packages; key: the hash that names the run; reuse:
    whether other radii of a curve may have decided examples; optimize_model: whether attacks asked a quicker copy of the
    model; minimal: the attacks that look for the smallest perturbation; accept_solver: whether a solver's word counts as
    certified; claim: the level that a proof must have to count, "real" in reports that name none.
    """

    threat: str
    attacks: Mapping[str, str]
    certifiers: Mapping[str, str]
    union: str
    seed: int
    audit: float
    exhaustive: bool
    model: str
    model_fingerprint: str
    data: str
    data_fingerprint: str
    radius: float | None
    bounds: tuple[float, float] | None
    version: str
    code: str
    key: str
    convention: str = ""
    reuse: bool = False
    optimize_model: bool = False
    minimal: tuple[str, ...] = ()
    accept_solver: bool = False
    claim: str = "real"

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Setting":
        """The setting that ``attrs.asdict`` turned into a JSON record."""
        bounds = record["bounds"]
        minimal = tuple(record.get("minimal", ()))
        return cls(**{**record, "bounds": tuple(bounds) if bounds else None, "minimal": minimal})
