"""Changes of the training examples."""

from inradius.slots import Transform
from inradius_training.transforms.shift import Shift

TRANSFORMS: list[type[Transform]] = [Shift]
