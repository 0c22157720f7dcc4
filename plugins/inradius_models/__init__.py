"""Networks as people have them: of other libraries, in other files, with other outputs and inputs."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from inradius import hookimpl
from inradius_models.hf import hf
from inradius_models.timm_model import timm
from inradius_models.torchscript import torchscript
from inradius_models.wrapped import normalized, selected


@hookimpl
def models() -> Mapping[str, Callable[..., nn.Module]]:
    return {build.__name__: build for build in (hf, timm, torchscript, normalized, selected)}


@hookimpl
def law_cases() -> Mapping[str, Mapping[str, Any]]:
    from inradius_models.law_cases import model_cases

    return model_cases()
