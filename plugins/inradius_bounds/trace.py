"""Finds the chain that a network is: its layers, or what its computation is captured as."""

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from inradius import InputError, LayerRule, Operator, UnsupportedError, layer_rules
from inradius_bounds.block import AffineBlock
from inradius_bounds.graph.levels import captured_chain
from inradius_bounds.stage import Chain as Chain
from inradius_bounds.stage import Stage

# per model: the modules seen, and the chains found for them by input shape
_traced: WeakKeyDictionary[nn.Module, tuple[tuple[int, ...], dict[torch.Size, Chain]]] = WeakKeyDictionary()


def trace(model: nn.Module, x: Tensor) -> Chain:
    """The chain that ``model`` is for inputs like ``x`` (B, *S); kept per model object until its modules change.

    Raises ``UnsupportedError`` for the first layer or operator without a rule, with its path and what is known.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"{model!r} is not a torch.nn.Module; bounds need the layers of one")
    modules = tuple(id(module) for module in model.modules())
    seen, chains = _traced.get(model, ((), {}))
    if seen != modules:
        chains = {}
        _traced[model] = (modules, chains)
    known = chains.get(x.shape[1:])
    # a hook, or a number that the forward reads off the module, may have changed since
    if known is None or not known.agrees(model, x[:1]):
        chains[x.shape[1:]] = known = _found(model, x)
    return known


def _found(model: nn.Module, x: Tensor) -> Chain:
    """The chain of layers, or where a model is more than that the chain of states that its computation is."""
    layers = list(_layers(model, "model"))
    rules = layer_rules()
    if all(_covered(module, rules) for _, module in layers):
        return _checked(model, _chain(layers, x), x)
    return captured_chain(model, x, rules)


def _checked(model: nn.Module, chain: Chain, x: Tensor) -> Chain:
    """The chain, once it gives the model's values at an input."""
    if not chain.agrees(model, x[:1]):
        raise UnsupportedError(f"the layers of {type(model).__name__} give other values than the model itself")
    return chain


def _layers(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The leaves of nested ``Sequential`` containers in order, with their paths."""
    if _untouched(module, nn.Sequential):
        # named_children leaves out a layer that stands in a second place
        for name, child in module._modules.items():
            assert child is not None
            yield from _layers(child, f"{path}.{name}")
    else:
        yield path, module


def _untouched(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether ``module`` computes what ``kind`` computes: the same forward and no hooks that could change it."""
    return (
        isinstance(module, kind)
        and type(module).forward is kind.forward
        and "forward" not in vars(module)
        and not module._forward_hooks
        and not module._forward_pre_hooks
    )


def _covered(module: nn.Module, rules: dict[type[nn.Module], LayerRule]) -> type[nn.Module] | None:
    """The class whose rule serves this very module."""
    return next((kind for kind in type(module).__mro__ if kind in rules and _untouched(module, kind)), None)


def _rule(module: nn.Module) -> LayerRule:
    rules = layer_rules()
    kind = _covered(module, rules)
    assert kind is not None
    rules[kind].check(module)
    return rules[kind]


def _chain(layers: list[tuple[str, nn.Module]], x: Tensor) -> Chain:
    rules = [_rule(module) for _, module in layers]  # every layer is checked before anything is computed
    stages: list[Stage] = []
    affine: list[Operator] = []
    z = x[:1].detach()
    start = z.shape[1:]
    for (path, module), rule in zip(layers, rules, strict=True):
        with torch.no_grad():
            value = module(z)
        op = Operator(path, module, rule, z.shape[1:], value.shape[1:])
        if rule.affine:
            affine.append(op)
        else:
            stages.append(Stage(AffineBlock(tuple(affine), start, z.shape[1:]), op))
            affine, start = [], value.shape[1:]
        z = value
    stages.append(Stage(AffineBlock(tuple(affine), start, z.shape[1:]), None))
    return Chain(tuple(stages))
