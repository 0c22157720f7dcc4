"""Generative adversarial networks, the first and Wasserstein ones."""

from collections.abc import Callable, Mapping
from typing import Any

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


@hookimpl
def law_cases() -> Mapping[str, Mapping[str, Any]]:
    # the network of a law reads as many numbers as it gives: three
    games = {f"{name}(latent=3, samples=8)": {"shape": (3,)} for name in ("gan", *_WASSERSTEIN)}
    return games | {
        "gan(latent=3, samples=8, saturating=True)": {"shape": (3,)},
        "mlp_generator(4, 6, shape=(1, 3, 3))": {"shape": (4,)},
        "mlp_generator(4, 6, shape=(2,), bounds=None)": {"shape": (4,)},
        "dcgan_generator(latent=4, width=2, shape=(1, 8, 8))": {"shape": (4,)},
        "dcgan_critic(width=2, shape=(1, 8, 8))": {"shape": (1, 8, 8)},
    }


_WASSERSTEIN = ("wgan_clip", "wgan_gradient_penalty", "wgan_spectral_norm")
