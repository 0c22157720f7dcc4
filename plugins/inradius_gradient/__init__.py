"""Attacks that follow the gradient, on every threat model alike: FGSM and its kin, PGD, APGD, BETA, Frank-Wolfe, growing sets."""

from inradius import Attack, Objective, hookimpl
from inradius_gradient.apgd import APGD as APGD
from inradius_gradient.apgd_t import APGDT as APGDT
from inradius_gradient.beta import BETA as BETA
from inradius_gradient.fgsm import FGSM as FGSM
from inradius_gradient.fgsm_rs import FGSMRS as FGSMRS
from inradius_gradient.frank_wolfe import FrankWolfe as FrankWolfe
from inradius_gradient.friendly_pgd import FriendlyPGD as FriendlyPGD
from inradius_gradient.grow import Grow as Grow
from inradius_gradient.logit_difference import LogitDifference as LogitDifference
from inradius_gradient.mim import MIM as MIM
from inradius_gradient.nfgsm import NFGSM as NFGSM
from inradius_gradient.pgd import PGD as PGD
from inradius_gradient.rfgsm import RFGSM as RFGSM
from inradius_gradient.sparse_descent import SparseL1Descent as SparseL1Descent


@hookimpl
def attacks() -> list[type[Attack]]:
    return [APGD, APGDT, BETA, FGSM, FGSMRS, FrankWolfe, FriendlyPGD, Grow, MIM, NFGSM, PGD, RFGSM, SparseL1Descent]


@hookimpl
def objectives() -> list[type[Objective]]:
    return [LogitDifference]
