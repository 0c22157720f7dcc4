"""Sets beyond norms: boxes, patches, intersections, affine images."""

from typing import Any

from inradius import ThreatModel, hookimpl
from inradius_sets.affine import Affine as Affine
from inradius_sets.box import Box as Box
from inradius_sets.intersection import Intersection as Intersection
from inradius_sets.patch import Patch as Patch


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return [Affine, Box, Intersection, Patch]


@hookimpl
def law_cases() -> dict[str, dict[str, Any]]:
    return {
        "affine(basis='ramps', eps=0.3)": {},
        "box(lo=-0.1, hi=0.2)": {},
        "patch(size=2)": {},
        "intersection(linf(eps=0.1), l2(eps=0.5))": {},
    }
