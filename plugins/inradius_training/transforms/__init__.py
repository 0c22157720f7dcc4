"""Random changes of the training examples."""

from inradius.training.slots import Transform
from inradius_training.transforms.crop import Crop
from inradius_training.transforms.cutout import Cutout
from inradius_training.transforms.flip import Flip
from inradius_training.transforms.label_smoothing import LabelSmoothing
from inradius_training.transforms.mixup import Mixup
from inradius_training.transforms.shift import Shift

TRANSFORMS: list[type[Transform]] = [Shift, Crop, Flip, Cutout, Mixup, LabelSmoothing]
