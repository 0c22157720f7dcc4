"""Directions: how several gradients become one."""

from inradius.training.slots import Direction
from inradius_training.directions.least_norm import LeastNorm
from inradius_training.directions.min_norm import MinNorm

DIRECTIONS: list[type[Direction]] = [LeastNorm, MinNorm]
