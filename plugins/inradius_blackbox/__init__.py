"""Attacks that ask the model for scores or labels alone, random perturbations, transfer, and saliency maps for pixels."""

from inradius import Attack, hookimpl
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


@hookimpl
def attacks() -> list[type[Attack]]:
    return [Square, SPSA, Boundary, HopSkipJump, Pointwise, SaltAndPepper, GaussianNoise, UniformNoise, JSMA, Transfer]
