"""A network as a chain: affine blocks with elementwise non-linear layers between them."""

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import attrs
import torch
from torch import Tensor, nn

from inradius import InputError, LayerRule, Operator, UnsupportedError, layer_rules
from inradius_bounds.block import AffineBlock


@attrs.frozen(eq=False)
class Stage:
    """An affine block and the non-linear layer behind it; None behind the last block."""

    block: AffineBlock
    activation: Operator | None


@attrs.frozen(eq=False)
class Chain:
    """The stages of a network, from the input to the logits."""

    stages: tuple[Stage, ...]

    @property
    def hidden(self) -> tuple[tuple[AffineBlock, Operator], ...]:
        """The blocks that a non-linear layer follows, with it."""
        return tuple((stage.block, stage.activation) for stage in self.stages if stage.activation is not None)

    @property
    def final(self) -> AffineBlock:
        """The block that gives the logits."""
        return self.stages[-1].block


# per model: the modules seen, and the chains found for them by input shape
_traced: WeakKeyDictionary[nn.Module, tuple[tuple[int, ...], dict[torch.Size, Chain]]] = WeakKeyDictionary()


def trace(model: nn.Module, x: Tensor) -> Chain:
    """The chain that ``model`` is for inputs like ``x`` (B, *S); kept per model object until its modules change.

    Raises ``UnsupportedError`` for the first layer without a rule, with its path and the layers known.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"{model!r} is not a torch.nn.Module; bounds need the layers of one")
    layers = list(_layers(model, "model"))
    modules = tuple(id(module) for _, module in layers)
    seen, chains = _traced.get(model, ((), {}))
    if seen != modules:
        chains = {}
        _traced[model] = (modules, chains)
    if x.shape[1:] not in chains:
        chains[x.shape[1:]] = _chain(layers, x)
    return chains[x.shape[1:]]


def _layers(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The leaves of nested ``Sequential`` containers in order, with their paths."""
    if _untouched(module, nn.Sequential):
        for name, child in module.named_children():
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


def _rule(path: str, module: nn.Module) -> LayerRule:
    rules = layer_rules()
    for kind in type(module).__mro__:
        if kind in rules and _untouched(module, kind):
            rules[kind].check(module)
            return rules[kind]
    known = ", ".join(sorted(kind.__name__ for kind in rules))
    raise UnsupportedError(
        f"{path} is {_described(module)}, which no layer rule covers; known are Sequential, {known}, "
        "and a plugin can add more through the hook layer_rules"
    )


def _described(module: nn.Module) -> str:
    name = type(module).__name__
    hooked = module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
    return f"{name} with a hook or a replaced forward" if hooked else name


def _chain(layers: list[tuple[str, nn.Module]], x: Tensor) -> Chain:
    rules = [_rule(path, module) for path, module in layers]  # every layer is checked before anything is computed
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
