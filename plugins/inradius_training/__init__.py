"""Defenses: standard, adversarial and certified training, and cascades of networks."""

from collections.abc import Callable, Mapping

from torch import nn

from inradius import Defense, hookimpl
from inradius_training.adversarial import Adversarial
from inradius_training.cascade import Cascade as Cascade
from inradius_training.cascade import cascade
from inradius_training.certified import Certified
from inradius_training.crown_ibp import CrownIBP
from inradius_training.mtl_ibp import MtlIBP
from inradius_training.network_cascade import NetworkCascade
from inradius_training.sabr import Sabr
from inradius_training.standard import Standard


@hookimpl
def defenses() -> list[type[Defense]]:
    return [Standard, Adversarial, Certified, CrownIBP, Sabr, MtlIBP, NetworkCascade]


@hookimpl
def models() -> Mapping[str, Callable[..., nn.Module]]:
    return {"cascade": cascade}
