"""Modules with a layer rule of their own, kept as one operator while a model is recorded."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from inradius import LayerRule, UnsupportedError
from inradius_bounds.capture.graph import ModuleOperator
from inradius_bounds.capture.recorder import Recorder
from inradius_bounds.capture.traced_tensor import TracedTensor

Rules = Mapping[type[nn.Module], LayerRule]


@contextmanager
def keeping(model: nn.Module, rules: Rules, recorder: Recorder, paths: Mapping[int, str]) -> Iterator[None]:
    """A context in which the forward of every module with a rule is recorded as one operator.

    Only the forward is replaced, on the module itself. Hooks of the module, and a ``__call__`` of its own, run as usual.
    """
    layers = [
        ModuleOperator(module, rules[kind], paths[id(module)])
        for module in model.modules()
        if (kind := covering(rules, module)) is not None
    ]
    for layer in layers:
        vars(layer.module)["forward"] = _recorded(layer, recorder)
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer.module)["forward"]


def covering(rules: Rules, module: nn.Module) -> type[nn.Module] | None:
    """The class whose rule serves this very module; None where the module may compute something other than that class.

    A subclass is served where it changes nothing that its parent defines, and so is an object.
    """
    kind = next((each for each in type(module).__mro__ if each in rules), None)
    if kind is None or any(hasattr(kind, name) and callable(getattr(kind, name)) for name in vars(module)):
        return None
    own = type(module).__mro__[: type(module).__mro__.index(kind)]
    changed = {name for each in own for name in vars(each)} - _HARMLESS
    return None if any(hasattr(kind, name) for name in changed) else kind


# attributes that a subclass may define without changing the result of its forward
_HARMLESS = {
    "__doc__",
    "__module__",
    "__qualname__",
    "__init__",
    "extra_repr",
    "__annotations__",
    "__dict__",
    "__weakref__",
}


def _recorded(layer: ModuleOperator, recorder: Recorder) -> Callable[..., Any]:
    own = type(layer.module).forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(each, TracedTensor) for each in (*args, *kwargs.values())):
            return own(layer.module, *args, **kwargs)
        if len(args) != 1 or kwargs:
            raise UnsupportedError(f"{layer.path} is {layer} with several inputs; allowed is one input")
        layer.rule.check(layer.module)
        with recorder.paused():
            out = own(layer.module, args[0].plain.clone())
        return recorder.kept(layer, args[0], out)

    return forward
