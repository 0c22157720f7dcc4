"""Generative adversarial networks, the first and Wasserstein ones."""

from collections.abc import Callable, Mapping

from torch import nn

from inradius import Dataset, Defense, hookimpl
from inradius_gan.clip import Clip as Clip
from inradius_gan.distance import prove as prove
from inradius_gan.distance import wasserstein_distance as wasserstein_distance
from inradius_gan.gradient_penalty import GradientPenalty as GradientPenalty
from inradius_gan.lipschitz import lipschitz_bound as lipschitz_bound
from inradius_gan.networks import dcgan_critic, dcgan_generator, mlp_generator
from inradius_gan.spectral_norm import SpectralNorm as SpectralNorm
from inradius_gan.toys import eight_gaussians, gaussian_grid, swiss_roll
from inradius_gan.vanilla import GAN as GAN


@hookimpl
def defenses() -> list[type[Defense]]:
    return [GAN, Clip, GradientPenalty, SpectralNorm]


@hookimpl
def datasets() -> Mapping[str, Callable[..., Dataset]]:
    return {build.__name__: build for build in (eight_gaussians, gaussian_grid, swiss_roll)}


@hookimpl
def models() -> Mapping[str, Callable[..., nn.Module]]:
    builders: list[Callable[..., nn.Module]] = [mlp_generator, dcgan_generator, dcgan_critic]
    return {build.__name__: build for build in builders}
