"""Unions of sets, attacks that go for several sets at once, and training against them."""

from typing import Any

from inradius import Attack, Defense, ThreatModel, hookimpl
from inradius_union.average_parts import AverageParts as AverageParts
from inradius_union.msd import MSD as MSD
from inradius_union.union import Union as Union
from inradius_union.worst_part import WorstPart as WorstPart


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return [Union]


@hookimpl
def attacks() -> list[type[Attack]]:
    return [MSD, WorstPart]


@hookimpl
def defenses() -> list[type[Defense]]:
    return [AverageParts]


@hookimpl
def law_cases() -> dict[str, dict[str, Any]]:
    return {
        "union(linf(eps=0.1), l2(eps=0.5))": {},
        "worst_part(pgd(steps=3))": {},
    }
