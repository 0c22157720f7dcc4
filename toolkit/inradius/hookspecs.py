"""The hooks a plugin may implement; each is historic, so a plugin that comes late is heard as well.

A plugin is a module (or object) named by an entry point of the group ``inradius``, whose hook implementations are
marked with ``inradius.hookimpl``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from torch import nn

    from inradius.attack import Attack
    from inradius.certifier import Certifier
    from inradius.data import Dataset
    from inradius.defense import Defense
    from inradius.layers import LayerRule
    from inradius.objective import Objective
    from inradius.threat import ThreatModel

NAMESPACE = "inradius"
hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


@hookspec(historic=True)
def threat_models() -> "Iterable[type[ThreatModel]]":  # type: ignore[empty-body]
    """Classes of threat models: sets Δ(x) with their oracles."""


@hookspec(historic=True)
def attacks() -> "Iterable[type[Attack]]":  # type: ignore[empty-body]
    """Classes of attacks: they look for a perturbation in Δ(x) that changes the prediction."""


@hookspec(historic=True)
def certifiers() -> "Iterable[type[Certifier]]":  # type: ignore[empty-body]
    """Classes of certifiers: they prove that no perturbation in Δ(x) changes the prediction."""


@hookspec(historic=True)
def defenses() -> "Iterable[type[Defense]]":  # type: ignore[empty-body]
    """Classes of defenses: they train a network."""


@hookspec(historic=True)
def objectives() -> "Iterable[type[Objective]]":  # type: ignore[empty-body]
    """Classes of objectives: what an attack maximises."""


@hookspec(historic=True)
def datasets() -> "Mapping[str, Callable[..., Dataset]]":  # type: ignore[empty-body]
    """Functions that load labelled data, by their spec names."""


@hookspec(historic=True)
def models() -> "Mapping[str, Callable[..., nn.Module]]":  # type: ignore[empty-body]
    """Functions that build a network, by their spec names."""


@hookspec(historic=True)
def layer_rules() -> "Mapping[type[nn.Module], LayerRule]":  # type: ignore[empty-body]
    """How bounds pass a layer, by the layer's class; a rule for a class serves its subclasses unless they have their own."""
