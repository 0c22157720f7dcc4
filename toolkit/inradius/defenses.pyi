# Made by tests/shared/class_stubs.py from the first-party plugins; classes of other plugins have no static type here.
from typing import Any

from inradius_gan.clip import Clip as Clip
from inradius_gan.gradient_penalty import GradientPenalty as GradientPenalty
from inradius_gan.spectral_norm import SpectralNorm as SpectralNorm
from inradius_gan.vanilla import GAN as GAN
from inradius_training.adversarial.adversarial import Adversarial as Adversarial
from inradius_training.adversarial.beta_at import BETAAT as BETAAT
from inradius_training.adversarial.ddi import DDi as DDi
from inradius_training.adversarial.fat import FAT as FAT
from inradius_training.adversarial.free import Free as Free
from inradius_training.adversarial.gairat import GAIRAT as GAIRAT
from inradius_training.adversarial.sbeta_at import SBETAAT as SBETAAT
from inradius_training.adversarial.standard import Standard as Standard
from inradius_training.certification.certified import Certified as Certified
from inradius_training.certification.convex_adversarial import ConvexAdversarial as ConvexAdversarial
from inradius_training.certification.crown_ibp import CrownIBP as CrownIBP
from inradius_training.certification.mtl_ibp import MtlIBP as MtlIBP
from inradius_training.certification.network_cascade import NetworkCascade as NetworkCascade
from inradius_training.certification.sabr import Sabr as Sabr
from inradius_training.distance.fait import FAIT as FAIT
from inradius_training.distance.fait_mer import FAITMER as FAITMER
from inradius_training.distance.hat import HAT as HAT
from inradius_training.distance.mart import MART as MART
from inradius_training.distance.mer import MER as MER
from inradius_training.distance.score import SCORE as SCORE
from inradius_training.distance.trades import TRADES as TRADES
from inradius_union.average_parts import AverageParts as AverageParts

def __getattr__(name: str) -> Any: ...
