"""Training on the perturbations that attacks find."""

from inradius import Defense
from inradius_training.adversarial.adversarial import Adversarial
from inradius_training.adversarial.beta_at import BETAAT
from inradius_training.adversarial.ddi import DDi
from inradius_training.adversarial.fat import FAT
from inradius_training.adversarial.free import Free
from inradius_training.adversarial.gairat import GAIRAT
from inradius_training.adversarial.sbeta_at import SBETAAT
from inradius_training.adversarial.standard import Standard

DEFENSES: list[type[Defense]] = [Standard, Adversarial, Free, FAT, GAIRAT, BETAAT, SBETAAT, DDi]
