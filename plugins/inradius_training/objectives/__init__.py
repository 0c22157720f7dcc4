"""What attacks of training maximise: distances between predictions."""

from inradius import Objective

OBJECTIVES: list[type[Objective]] = []
