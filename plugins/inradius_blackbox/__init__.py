"""Attacks that ask the model for scores or labels alone, random perturbations, transfer, and saliency maps for pixels."""

from collections.abc import Mapping
from typing import Any

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


@hookimpl
def law_cases() -> Mapping[str, Mapping[str, Any]]:
    # few queries on small inputs, since a law runs an attack many times
    small = {"shape": (1, 2, 2)}
    return {
        "square(queries=20)": small,
        "spsa(steps=3, samples=4)": small,
        "boundary(queries=60)": small,
        "hop_skip_jump(queries=60, samples=8)": small,
        "pointwise(queries=60, tries=10)": small,
        "salt_and_pepper(queries=20)": small,
        "gaussian_noise(queries=5)": small,
        "uniform_noise(queries=5)": small,
        "jsma(most=0.5)": small | {"threat": "l0(k=2)"},
        "transfer(pgd(steps=3), model='mlp(4, 6, 3)')": small,
    }
