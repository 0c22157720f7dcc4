"""The hooks a plugin may implement; each is historic, so a plugin that is registered late is heard as well.

A plugin is a module (or object) named by an entry point of the group ``inradius``, whose hook implementations are
marked with ``inradius.hookimpl``. This module names the kinds of components, so it stands above all of them: only
``installed`` imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from inradius.attacks.attack import Attack
from inradius.attacks.objective import Objective
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.layer_rule import LayerRule
from inradius.components.hookimpl import hookspec
from inradius.data.dataset import Dataset
from inradius.outcomes.outcome import Outcome
from inradius.sets.threat_model import ThreatModel
from inradius.training.defense import Defense
from inradius.training.slots import Direction, Monitor, Regularizer, Sampler, Schedule, Transform, Update


@hookspec(historic=True)
def threat_models() -> Iterable[type[ThreatModel]]:  # type: ignore[empty-body]
    """Classes of threat models: sets Δ(x) with their oracles."""


@hookspec(historic=True)
def attacks() -> Iterable[type[Attack]]:  # type: ignore[empty-body]
    """Classes of attacks: they look for a perturbation in Δ(x) that changes the prediction."""


@hookspec(historic=True)
def certifiers() -> Iterable[type[Certifier]]:  # type: ignore[empty-body]
    """Classes of certifiers: they prove that no perturbation in Δ(x) changes the prediction."""


@hookspec(historic=True)
def defenses() -> Iterable[type[Defense]]:  # type: ignore[empty-body]
    """Classes of defenses: they train a network."""


@hookspec(historic=True)
def objectives() -> Iterable[type[Objective]]:  # type: ignore[empty-body]
    """Classes of objectives: scores that an attack maximises."""


@hookspec(historic=True)
def outcomes() -> Iterable[type[Outcome]]:  # type: ignore[empty-body]
    """Classes of outcomes: what counts as a broken example."""


@hookspec(historic=True)
def datasets() -> Mapping[str, Callable[..., Dataset]]:  # type: ignore[empty-body]
    """Functions that load labelled data, by their spec names."""


@hookspec(historic=True)
def models() -> Mapping[str, Callable[..., nn.Module]]:  # type: ignore[empty-body]
    """Functions that build a network, by their spec names."""


@hookspec(historic=True)
def layer_rules() -> Mapping[type[nn.Module], LayerRule]:  # type: ignore[empty-body]
    """Rules by which bounds pass a layer, by the layer's class; a rule serves subclasses that have none of their own."""


@hookspec(historic=True)
def transforms() -> Iterable[type[Transform]]:  # type: ignore[empty-body]
    """Classes of transforms: changes of a mini-batch before it is attacked and learned from."""


@hookspec(historic=True)
def samplers() -> Iterable[type[Sampler]]:  # type: ignore[empty-body]
    """Classes of samplers: they choose the examples of the next mini-batch."""


@hookspec(historic=True)
def regularizers() -> Iterable[type[Regularizer]]:  # type: ignore[empty-body]
    """Classes of regularizers: penalties that are added to the loss."""


@hookspec(historic=True)
def directions() -> Iterable[type[Direction]]:  # type: ignore[empty-body]
    """Classes of directions: they make one gradient of several."""


@hookspec(historic=True)
def updates() -> Iterable[type[Update]]:  # type: ignore[empty-body]
    """Classes of updates: they move the weights by gradients."""


@hookspec(historic=True)
def schedules() -> Iterable[type[Schedule]]:  # type: ignore[empty-body]
    """Classes of schedules: they change a number over a run."""


@hookspec(historic=True)
def monitors() -> Iterable[type[Monitor]]:  # type: ignore[empty-body]
    """Classes of monitors: they watch a training run, and may end it or roll it back."""


@hookspec(historic=True)
def law_cases() -> Mapping[str | nn.Module, Mapping[str, Any]]:  # type: ignore[empty-body]
    """The cases of the law kit: specs, and layers with a rule, each with the arguments of its check."""
