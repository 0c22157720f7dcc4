"""The computation of a module, captured as operators on values, by tracing it with torch.fx.

Shapes are known while the trace runs, and every operator that no rule covers is rewritten on the spot by ones that a rule
covers. What is left are affine functions and elementwise non-linear layers.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from inradius import LayerRule, UnsupportedError
from inradius_bounds.graph import functions
from inradius_bounds.graph.affine import FUNCTIONS

# the batch that a module is traced with: two examples, so that an axis of one is not taken for the batch
EXAMPLES = 2


class Batch(int):
    """The number of examples, wherever a module reads it off a shape; a state of any batch fills in its own."""


class Value(fx.Proxy):
    """A value of the computation that knows its shape."""

    @property
    def known(self) -> Any:
        """What the value is for the examples traced with."""
        return self.node.meta["known"]

    @property
    def shape(self) -> Any:
        if not isinstance(self.known, Tensor):
            raise AttributeError("shape")
        return (Batch(self.known.shape[0]), *self.known.shape[1:]) if self.known.ndim else ()

    def size(self, axis: int | None = None) -> Any:
        return self.shape if axis is None else self.shape[axis]

    def dim(self) -> int:
        return int(self.known.ndim)

    @property
    def ndim(self) -> int:
        return self.dim()

    @property
    def dtype(self) -> torch.dtype:
        found: torch.dtype = self.known.dtype
        return found

    @property
    def device(self) -> torch.device:
        found: torch.device = self.known.device
        return found

    def numel(self) -> int:
        return int(self.known.numel())

    def __len__(self) -> int:
        return int(self.shape[0])


class Capture(fx.Tracer):
    """Traces a module on ``x`` (2, *S) into a graph whose nodes know their values."""

    def __init__(self, rules: Mapping[type[nn.Module], LayerRule], x: Tensor) -> None:
        super().__init__()
        self.proxy_buffer_attributes = True
        self._rules, self._x = rules, x
        self._paths: dict[int, str] = {}
        # the module that is running, with its class where torch ships it
        self._path, self._owner = "model", ""
        # while an operator runs on what is known, torch.fx must look away
        self._running = False

    def captured(self, model: nn.Module) -> fx.Graph:
        """The graph. Raises ``UnsupportedError`` for an operator that no rule covers, or a path that depends on values."""
        self._paths = {id(module): f"model.{path}".rstrip(".") for path, module in model.named_modules()}
        try:
            with torch.no_grad():
                return self.trace(model)
        except UnsupportedError:
            raise
        except (fx.proxy.TraceError, TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UnsupportedError(
                f"the computation of {type(model).__name__} cannot be captured ({reason}); bounds know modules whose "
                "operators do not depend on the values of their inputs"
            ) from error

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return Value(node, self)

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        return _covering(self._rules, module) is not None

    def call_module(self, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self._running:
            return forward(*args, **kwargs)
        path = self._paths.get(id(module), type(module).__name__)
        if _changed(module):
            raise UnsupportedError(
                f"{path} is {type(module).__name__} with a hook or a replaced forward, which no layer rule covers; "
                "remove it, or give the layer a class and a rule of its own"
            )
        outer, self._path = (self._path, self._owner), path
        self._owner = type(module).__name__ if module.__module__.startswith("torch.nn") else ""
        try:
            return self._called(module, path, forward, args, kwargs)
        finally:
            self._path, self._owner = outer

    def _called(self, module: nn.Module, path: str, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        kind = _covering(self._rules, module)
        if kind is None:
            return forward(*args, **kwargs)
        self._run(self._rules[kind].check, (module,), {})
        if len(args) != 1 or kwargs:
            self._refuse(path, f"{type(module).__name__} of several inputs")
        return self.node(module, path, args, {})

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **options: Any) -> Any:
        if kind in ("call_function", "call_method"):
            return self._function(kind, target, args, dict(kwargs))
        found = super().create_proxy(kind, target, args, kwargs, *more, **options)
        if kind == "placeholder":
            found.node.meta["known"] = self._x
        elif kind == "get_attr":
            found.node.meta["known"] = self._run(attribute, (self.root, target), {})
        return found

    def _function(self, kind: str, target: Any, args: Any, kwargs: Any) -> Any:
        name = functions.named(target)
        if not varying(args, kwargs):
            return self.node(functions.plain(target), name, args, kwargs)
        if name.endswith("_") and not name.endswith("__"):
            raise UnsupportedError(f"{self._path} uses {name}, which changes a value in place; use {name.rstrip('_')}")
        rewrite = functions.REWRITES.get(name)
        if rewrite is not None:
            return rewrite(*args, **kwargs)
        function = functions.affine(name, args, kwargs)
        if name in ("view", "reshape"):
            args = _batched(args)
        if function is None:
            self._refuse(self._path, self._owner or name)
        return self.node(function, name, args, kwargs)

    def applied(self, module: nn.Module, value: Any) -> Any:
        """An elementwise layer that stands for a function."""
        kind = _covering(self._rules, module)
        if kind is None:
            return self._refuse(self._path, type(module).__name__)
        self._run(self._rules[kind].check, (module,), {})
        return self.node(module, self._path, (value,), {})

    def node(self, target: Callable[..., Any] | None, path: str, args: Any, kwargs: Any) -> Any:
        """A node of the graph with what it is for the examples traced with, as a value."""
        assert target is not None
        name = f"step_{len(self.graph.nodes)}"
        inputs: tuple[Any, Any] = (self.create_arg(tuple(args)), self.create_arg(dict(kwargs)))
        made = self.create_node("call_function", target, *inputs, name=name)
        made.meta |= {"path": path, "varying": varying(args, kwargs)}
        known_args, known_kwargs = _known(args), _known(kwargs)
        made.meta["known"] = self._run(target, known_args, known_kwargs)
        return self._wrapped(made)

    def _run(self, target: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self._running = True
        try:
            return target(*args, **kwargs)
        finally:
            self._running = False

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._running else super().getattr(attr, attr_val, parameter_proxy_cache)

    def _wrapped(self, made: fx.Node) -> Any:
        """The node's value; a tuple of values where it gives several."""
        known = made.meta["known"]
        if isinstance(known, tuple | list):
            whole = Value(made, self)
            return tuple(self.node(FUNCTIONS["item"], "item", (whole, place), {}) for place in range(len(known)))
        return self.proxy(made)

    def _refuse(self, path: str, name: str) -> Any:
        known = ", ".join(sorted({each.__name__ for each in self._rules} | {"MaxPool2d", "LayerNorm", "Softmax"}))
        raise UnsupportedError(
            f"{path} is {name}, which no layer rule covers; known are Sequential, {known}, affine functions of torch, "
            "and a plugin can add more through the hook layer_rules"
        )


def attribute(root: nn.Module, path: str) -> Any:
    """A parameter, buffer or constant of a module by its path."""
    value: Any = root
    for name in path.split("."):
        value = getattr(value, name)
    return value


def varying(args: Any, kwargs: Any) -> bool:
    """Whether anything in here depends on the input."""
    found = False

    def look(each: Any) -> Any:
        nonlocal found
        if isinstance(each, fx.Proxy):
            found |= each.node.op == "placeholder" or bool(each.node.meta.get("varying", False))
        return each

    filled((args, kwargs), look)
    return found


def filled(given: Any, fill: Callable[[Any], Any]) -> Any:
    """Nested arguments with every leaf replaced."""
    if isinstance(given, list):
        return [filled(each, fill) for each in given]
    if type(given) is tuple:
        return tuple(filled(each, fill) for each in given)
    if isinstance(given, Mapping):
        return {name: filled(each, fill) for name, each in given.items()}
    if isinstance(given, slice):
        return slice(*(filled(end, fill) for end in (given.start, given.stop, given.step)))
    return fill(given)


def _known(given: Any) -> Any:
    """The arguments as they are for the examples traced with; copies, since a layer may work in place."""
    return filled(given, lambda each: _copy(each.node.meta["known"]) if isinstance(each, fx.Proxy) else each)


def _batched(args: Any) -> Any:
    """The arguments of a reshape, whose first length is the number of examples even where len() gave a bare number."""
    value, sizes = args[0], args[1] if isinstance(args[1], tuple | list) else args[1:]
    first = Batch(EXAMPLES) if sizes[0] == EXAMPLES else sizes[0]
    return value, (first, *sizes[1:])


def _copy(known: Any) -> Any:
    return known.clone() if isinstance(known, Tensor) else known


def _covering(rules: Mapping[type[nn.Module], LayerRule], module: nn.Module) -> type[nn.Module] | None:
    for kind in type(module).__mro__:
        if kind in rules and type(module).forward is getattr(kind, "forward", None):
            return kind
    return None


def _changed(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))
