"""Objectives of attacks in training: distances between predictions."""

from inradius import Objective
from inradius_training.objectives.kl import KL
from inradius_training.objectives.squared_distance import SquaredDistance

OBJECTIVES: list[type[Objective]] = [KL, SquaredDistance]
