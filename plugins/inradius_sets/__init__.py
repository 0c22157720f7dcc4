"""Sets beyond norms: boxes, patches, intersections, affine images."""

from inradius import ThreatModel, hookimpl
from inradius_sets.affine import Affine as Affine
from inradius_sets.box import Box as Box
from inradius_sets.intersection import Intersection as Intersection
from inradius_sets.patch import Patch as Patch


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return [Affine, Box, Intersection, Patch]
