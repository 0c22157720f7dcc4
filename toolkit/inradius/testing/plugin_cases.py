"""The cases by which a plugin is checked: each of its components, with the arguments of its kind's check."""

import inspect
import unittest
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from torch import nn

from inradius.attacks.attack import Attack
from inradius.attacks.objective import Objective
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.layer_rule import LayerRule
from inradius.components.contents import contents
from inradius.components.registry import find, make
from inradius.components.spec import parse
from inradius.data.dataset import Dataset
from inradius.errors import InputError, PluginError, SpecError, UnsupportedError
from inradius.outcomes.outcome import Outcome
from inradius.sets.threat_model import ThreatModel
from inradius.testing import check, check_slots
from inradius.testing.running import Law, laws
from inradius.training.defense import Defense
from inradius.training.slots import Direction, Monitor, Regularizer, Sampler, Schedule, Transform, Update

_CHECKS: dict[type, Callable[..., None]] = {
    ThreatModel: check.check_threat_model,
    Attack: check.check_attack,
    Certifier: check.check_certifier,
    LayerRule: check.check_layer_rule,
    Objective: check.check_objective,
    Outcome: check.check_outcome,
    Dataset: check.check_dataset,
    nn.Module: check.check_model,
    Defense: check_slots.check_defense,
    Transform: check_slots.check_transform,
    Sampler: check_slots.check_sampler,
    Regularizer: check_slots.check_regularizer,
    Direction: check_slots.check_direction,
    Update: check_slots.check_update,
    Schedule: check_slots.check_schedule,
    Monitor: check_slots.check_monitor,
}
# the set around which a case is checked that names none
_AROUND: Mapping[type, Mapping[str, Any]] = {kind: {"threat": "linf(eps=0.3)"} for kind in (Attack, Certifier, Defense)}


@attrs.frozen(eq=False)
class PluginCase:
    """A component of a plugin that is to be checked: its spec or layer, its kind, and the arguments of the check.

    problem: why it cannot be checked, None where it can; refused: what it says itself where it cannot be made here, as
    without a library that is not installed.
    """

    subject: str | nn.Module
    kind: type
    options: Mapping[str, Any]
    problem: str | None = None
    refused: str | None = None

    def laws(self) -> list[Law]:
        """The laws of its kind, less those that the argument ``without`` names, or the one law that it breaks already."""
        if self.problem is not None:
            return [has_a_case]
        if self.refused is not None:
            return [can_be_made]
        left_out = self.options.get("without", ())
        return [law for law in laws(self.kind) if law not in left_out and law.__name__ not in left_out]

    def check(self, law: Law, *, examples: int | None = None) -> None:
        """Raises ``AssertionError`` where it breaks the law, and ``unittest.SkipTest`` where it cannot be made here.

        ``examples`` is the number of cases where the plugin says none.
        """
        assert self.problem is None, self.problem
        if self.refused is not None:
            raise unittest.SkipTest(self.refused)
        given = {**_AROUND.get(self.kind, {}), **self.options, "only": [law]}
        given.pop("without", None)
        if examples is not None and self.kind is not Dataset:
            given.setdefault("examples", examples)
        run = _CHECKS[self.kind]
        try:
            inspect.signature(run).bind(self.subject, **given)
        except TypeError as error:
            raise PluginError(f"the case {self} has wrong arguments: {error}") from error
        try:
            run(self.subject, **given)
        except UnsupportedError as error:
            if self.kind not in (nn.Module, Dataset):
                raise
            raise unittest.SkipTest(str(error)) from error

    def __str__(self) -> str:
        return self.subject if isinstance(self.subject, str) else type(self.subject).__name__


def has_a_case(subject: object, case: object = None) -> None:
    """A component that cannot be made without parameters has a case, which the hook ``law_cases`` returns."""


def can_be_made(subject: object, case: object = None) -> None:
    """A component is made from its spec; where it needs a library that is not installed, its laws are not checked."""


def plugin_cases(name: str) -> list[PluginCase]:
    """The cases of a plugin: those of its hook ``law_cases``, and each of its other components without parameters.

    ``name`` is that of its entry point or of its distribution. Raises ``SpecError`` for a plugin that is not installed or was
    left out, and for a case of an unknown name.
    """
    found = contents(name)
    cases = [_case(subject, options) for subject, options in found.cases.items()]
    covered = {_name(case.subject) for case in cases}
    rules = [_missing(layer.__name__, LayerRule) for layer in found.layers if layer.__name__ not in covered]
    return cases + rules + [_plain(name, kind) for name, kind in found.names.items() if name not in covered]


def plugin_laws(name: str) -> list[tuple[PluginCase, Law]]:
    """Each case of a plugin with each of its laws, for ``pytest.mark.parametrize(("case", "law"), plugin_laws("acme"))``."""
    return [(case, law) for case in plugin_cases(name) for law in case.laws()]


def _name(subject: str | nn.Module) -> str:
    return parse(subject).name if isinstance(subject, str) else type(subject).__name__


def _case(subject: str | nn.Module, options: Mapping[str, Any]) -> PluginCase:
    if isinstance(subject, nn.Module):
        return PluginCase(subject, LayerRule, options)
    kind = find(_name(subject)).kind
    return PluginCase(subject, kind, options, refused=_refused(subject, kind))


def _refused(spec: str, kind: type) -> str | None:
    """The sentence with which a component cannot be made; models and data, which take long, are not tried."""
    if kind in (nn.Module, Dataset):
        return None
    try:
        make(spec)
    except UnsupportedError as error:
        return str(error)
    except (SpecError, InputError):
        pass  # its laws say so
    return None


def _plain(name: str, kind: type) -> PluginCase:
    """The case of a component without parameters."""
    spec = f"{name}()"
    if kind is nn.Module:
        return _missing(name, kind)
    try:
        make(spec)
    except (SpecError, InputError):
        return _missing(name, kind)
    return PluginCase(spec, kind, {})


def _missing(name: str, kind: type) -> PluginCase:
    shown = {LayerRule: f"{{{name}(): {{'in_shape': (3,)}}}}", nn.Module: f"{{'{name}()': {{'shape': (1, 28, 28)}}}}"}
    example = shown.get(kind, f"{{'{name}(…)': {{}}}}")
    needs = "the shape of its inputs" if kind in shown else "parameters"
    return PluginCase(name, kind, {}, f"{name} needs {needs}; let the hook law_cases return a case, as in {example}")
