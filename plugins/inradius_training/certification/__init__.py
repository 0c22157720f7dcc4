"""Training for certificates, through bounds and in cascades."""

from inradius import Defense
from inradius_training.certification.certified import Certified
from inradius_training.certification.convex_adversarial import ConvexAdversarial
from inradius_training.certification.crown_ibp import CrownIBP
from inradius_training.certification.mtl_ibp import MtlIBP
from inradius_training.certification.network_cascade import NetworkCascade
from inradius_training.certification.sabr import Sabr

DEFENSES: list[type[Defense]] = [Certified, ConvexAdversarial, CrownIBP, Sabr, MtlIBP, NetworkCascade]
