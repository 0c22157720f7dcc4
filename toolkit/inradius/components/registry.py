"""One flat namespace of names for everything that plugins bring, and ``make``, which builds a thing from its spec."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

import attrs
from torch import nn

from inradius.attacks.attack import Attack
from inradius.attacks.objective import Objective
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.layer_rule import LayerRule
from inradius.components import installed as _installed
from inradius.components.answers import article, leave_out, origin, pairs, prevails, title
from inradius.components.component import Component
from inradius.components.spec import Call, parse
from inradius.data.dataset import Dataset
from inradius.errors import InradiusError, SpecError, reason
from inradius.outcomes.outcome import Outcome
from inradius.sets.threat_model import ThreatModel
from inradius.training.defense import Defense
from inradius.training.slots import Direction, Monitor, Regularizer, Sampler, Schedule, Transform, Update

T = TypeVar("T")

# the kind that the names of each hook build
KINDS: dict[str, type] = {
    "threat_models": ThreatModel,
    "attacks": Attack,
    "certifiers": Certifier,
    "defenses": Defense,
    "objectives": Objective,
    "outcomes": Outcome,
    "datasets": Dataset,
    "models": nn.Module,
    "transforms": Transform,
    "samplers": Sampler,
    "regularizers": Regularizer,
    "directions": Direction,
    "updates": Update,
    "schedules": Schedule,
    "monitors": Monitor,
}


@attrs.frozen
class Entry:
    """A registered name: the kind that it builds, its builder, and the module that brought it."""

    name: str
    kind: type
    build: Callable[..., Any]
    origin: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters of the spec, ``*`` before one that takes any number of values."""
        if isinstance(self.build, type) and issubclass(self.build, Component):
            rest = [name[1:] for name in self.build.positional if name.startswith("*")]
            return tuple(f"*{f.alias}" if f.name in rest else str(f.alias) for f in attrs.fields(self.build) if f.init)
        return tuple(str(p).split(":")[0].split("=")[0] for p in inspect.signature(self.build).parameters.values())


@cache
def entries() -> dict[str, Entry]:
    """Every registered name; plugins are loaded on the first call and heard whenever they come."""
    table: dict[str, Entry] = {}
    hooks = _installed.host().manager.hook
    for hook, kind in KINDS.items():
        getattr(hooks, hook).call_historic(result_callback=lambda found, kind=kind: _add(table, kind, found))
    return table


@cache
def layer_rules() -> dict[type[nn.Module], LayerRule]:
    """The rules by which bounds pass a layer, by the layer's class."""
    table: dict[type[nn.Module], LayerRule] = {}

    def add(found: object) -> None:
        if not isinstance(found, Mapping):
            leave_out(f"a plugin answers a hook with {found!r}; allowed are layer rules by the classes of their layers")
            return
        for layer, rule in found.items():
            if not isinstance(layer, type) or not isinstance(rule, LayerRule):
                leave_out(
                    f"{origin(rule)} registers {rule!r} for {layer!r}; allowed are layer rules by layers' classes"
                )
            elif layer not in table or prevails(rule, table[layer], f"a layer rule for {layer.__name__}"):
                table[layer] = rule

    _installed.host().manager.hook.layer_rules.call_historic(result_callback=add)
    return table


def make(spec: str | T, kind: type[T] = cast("type[Any]", object), **parameters: Any) -> T:  # noqa: B008  a constant
    """The thing that ``spec`` names, checked to be of ``kind``; a thing that is already of that kind is returned as it is.

    ``parameters`` are added to those in the spec, as in ``make("pgd", steps=5)``.

    Raises ``SpecError`` for a name that is unknown (with the nearest names), a wrong parameter (with the list of them),
    or a thing of another kind.
    """
    if not isinstance(spec, str):
        if isinstance(spec, kind) and not parameters:
            return spec
        if isinstance(spec, kind):
            raise SpecError(
                f"{_shown(spec)} is made already; allowed are parameters ({', '.join(parameters)}) with a spec"
            )
        raise SpecError(f"{_shown(spec)} is {article(type(spec).__name__)}, but {article(title(kind))} is needed here")
    call = parse(spec)
    entry = find(call.name, kind)
    if not issubclass(entry.kind, kind):
        raise SpecError(f"{spec!r} makes {article(title(entry.kind))}, but {article(title(kind))} is needed here")
    for key in parameters:
        if key in dict(call.kwargs):
            raise SpecError(f"{key} is given twice, in {spec!r} and beside it; give it once")
    return cast("T", _build(entry, attrs.evolve(call, kwargs=(*call.kwargs, *parameters.items()))))


def find(name: str, kind: type = object) -> Entry:
    """The registered name. Raises ``SpecError`` with the nearest names, or those of ``kind``, where there is none such."""
    table = entries()
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, n=3, cutoff=0.5)
    if close:
        raise SpecError(f"{name!r} is not a known name; did you mean {' or '.join(close)}?{_left_out()}")
    known = ", ".join(sorted(e.name for e in table.values() if issubclass(e.kind, kind)))
    raise SpecError(f"{name!r} is not a known name; known here are {known or 'none'}{_left_out()}")


def _left_out() -> str:
    """The plugins that might have brought a name that is missing, as the end of a sentence."""
    lost = [
        f"{plugin.name!r} of {plugin.distribution} {plugin.version} ({'blocked' if plugin.blocked else plugin.failure})"
        for plugin in _installed.host().plugins
        if plugin.blocked or plugin.failure
    ]
    return f"; left out is the plugin {' and '.join(lost)}" if lost else ""


def _build(entry: Entry, call: Call) -> object:
    args = [_resolve(value) for value in call.args]
    kwargs = {key: _resolve(value) for key, value in call.kwargs}
    if isinstance(entry.build, type) and issubclass(entry.build, Component):
        kwargs = _name_positionals(entry, args, kwargs)
        args = []
    _check_arguments(entry, args, kwargs)
    try:
        return entry.build(*args, **kwargs)
    except InradiusError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise SpecError(f"{entry.name}: {reason(error)}; the parameters are {_listed(entry)}") from error


def _check_arguments(entry: Entry, args: list[object], kwargs: dict[str, object]) -> None:
    signature = inspect.signature(entry.build)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for key in kwargs:
        # told before what is missing: it is the same mistake
        if key not in signature.parameters and not takes_any:
            raise SpecError(f"{entry.name}: there is no parameter {key!r}; the parameters are {_listed(entry)}")
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        # Python 3.12 calls a parameter keyword-only here; in a spec each may have its name
        said = reason(error).replace("required keyword-only argument", "required argument")
        raise SpecError(f"{entry.name}: {said}; the parameters are {_listed(entry)}") from error


def _resolve(value: object) -> object:
    if isinstance(value, Call):
        return _build(find(value.name), value)
    return tuple(_resolve(item) for item in value) if isinstance(value, tuple) else value


def _name_positionals(entry: Entry, args: list[object], kwargs: dict[str, object]) -> dict[str, object]:
    names = cast("type[Component]", entry.build).positional
    single = [name for name in names if not name.startswith("*")]
    named: dict[str, object] = dict(zip(single, args, strict=False))
    rest = tuple(args[len(single) :])
    if len(single) < len(names):
        named[names[-1][1:]] = rest
    elif rest:
        raise SpecError(f"{entry.name}: {rest[0]} has no parameter name; the parameters are {_listed(entry)}")
    if twice := named.keys() & kwargs.keys():
        raise SpecError(f"{entry.name}: {sorted(twice)[0]} is given twice; give it once")
    return named | kwargs


def _add(table: dict[str, Entry], kind: type, found: object) -> None:
    for name, build in pairs(kind, found):
        if name not in table or prevails(build, table[name].build, f"the name {name!r}"):
            table[name] = Entry(name, kind, build, origin(build))


def _listed(entry: Entry) -> str:
    return ", ".join(entry.parameters) or "none"


def _shown(given: object, limit: int = 60) -> str:
    """The value that was given in place of a spec, on one line."""
    text = " ".join(repr(given).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
