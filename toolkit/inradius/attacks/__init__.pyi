# Made by tests/shared/class_stubs.py from the first-party plugins; classes of other plugins have no static type here.
from typing import Any

from inradius_adapters.art import ART as ART
from inradius_adapters.foolbox import Foolbox as Foolbox
from inradius_adapters.torchattacks import Torchattacks as Torchattacks
from inradius_blackbox.boundary import Boundary as Boundary
from inradius_blackbox.gaussian_noise import GaussianNoise as GaussianNoise
from inradius_blackbox.hop_skip_jump import HopSkipJump as HopSkipJump
from inradius_blackbox.jsma import JSMA as JSMA
from inradius_blackbox.pointwise import Pointwise as Pointwise
from inradius_blackbox.salt_and_pepper import SaltAndPepper as SaltAndPepper
from inradius_blackbox.spsa import SPSA as SPSA
from inradius_blackbox.square import Square as Square
from inradius_blackbox.transfer import Transfer as Transfer
from inradius_blackbox.uniform_noise import UniformNoise as UniformNoise
from inradius_bounds.attacks.bab_attack import BabAttack as BabAttack
from inradius_combinators.attack_cascade import AttackCascade as AttackCascade
from inradius_combinators.autoattack import AutoAttack as AutoAttack
from inradius_combinators.eot import EOT as EOT
from inradius_combinators.if_zero_gradient import IfZeroGradient as IfZeroGradient
from inradius_combinators.inradius_suite import InradiusSuite as InradiusSuite
from inradius_combinators.restarts import Restarts as Restarts
from inradius_combinators.worst import Worst as Worst
from inradius_gradient.apgd import APGD as APGD
from inradius_gradient.apgd_t import APGDT as APGDT
from inradius_gradient.beta import BETA as BETA
from inradius_gradient.fgsm import FGSM as FGSM
from inradius_gradient.fgsm_rs import FGSMRS as FGSMRS
from inradius_gradient.frank_wolfe import FrankWolfe as FrankWolfe
from inradius_gradient.friendly_pgd import FriendlyPGD as FriendlyPGD
from inradius_gradient.grow import Grow as Grow
from inradius_gradient.mim import MIM as MIM
from inradius_gradient.nfgsm import NFGSM as NFGSM
from inradius_gradient.pgd import PGD as PGD
from inradius_gradient.rfgsm import RFGSM as RFGSM
from inradius_gradient.sparse_descent import SparseL1Descent as SparseL1Descent
from inradius_minimal.cw import CW as CW
from inradius_minimal.ddn import DDN as DDN
from inradius_minimal.deepfool import DeepFool as DeepFool
from inradius_minimal.ead import EAD as EAD
from inradius_minimal.fab import FAB as FAB
from inradius_minimal.fab_t import FABT as FABT
from inradius_minimal.fmn import FMN as FMN
from inradius_union.msd import MSD as MSD
from inradius_union.worst_part import WorstPart as WorstPart

def __getattr__(name: str) -> Any: ...
