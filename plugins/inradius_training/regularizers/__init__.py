"""Penalties added to the loss."""

from inradius.training.slots import Regularizer
from inradius_training.regularizers.cure import CURE
from inradius_training.regularizers.elle import ELLE
from inradius_training.regularizers.grad_align import GradAlign
from inradius_training.regularizers.l1_penalty import L1Penalty
from inradius_training.regularizers.l2_penalty import L2Penalty
from inradius_training.regularizers.llr import LLR

REGULARIZERS: list[type[Regularizer]] = [GradAlign, LLR, CURE, ELLE, L1Penalty, L2Penalty]
