"""Minimal-norm attacks: the smallest perturbation that changes the prediction, and with it the whole robustness curve."""

from inradius import Attack, hookimpl
from inradius_minimal.cw import CW as CW
from inradius_minimal.ddn import DDN as DDN
from inradius_minimal.deepfool import DeepFool as DeepFool
from inradius_minimal.ead import EAD as EAD
from inradius_minimal.fab import FAB as FAB
from inradius_minimal.fab_t import FABT as FABT
from inradius_minimal.fmn import FMN as FMN
from inradius_minimal.pdpgd import PDPGD as PDPGD
from inradius_minimal.sigma_zero import SigmaZero as SigmaZero
from inradius_minimal.smallest_radius import SmallestRadius as SmallestRadius


@hookimpl
def attacks() -> list[type[Attack]]:
    return [CW, DDN, DeepFool, EAD, FAB, FABT, FMN, PDPGD, SigmaZero, SmallestRadius]
