"""A level of non-linear layers: each value of a state passes a layer of its own, or passes unchanged."""

from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from inradius import LayerRule, Operator, Relaxation
from inradius.certifiers.layer_rule import Line
from inradius_bounds.layout.state import State
from inradius_bounds.rules.identity import IdentityRule

_Part = tuple[Operator, Tensor, Tensor]


@attrs.frozen(eq=False)
class ParallelLayers:
    """The layers behind the values of a state, one each; identities for values that pass unchanged."""

    state: State
    layers: tuple[Operator, ...]

    def __call__(self, state: Tensor) -> Tensor:
        values = self.state.split(state)
        return self.state.joined([layer(value) for layer, value in zip(self.layers, values, strict=True)])

    def parts(self, lower: Tensor, upper: Tensor) -> list[_Part]:
        """Each layer with the bounds of its input."""
        low, high = self.state.split(lower), self.state.split(upper)
        return list(zip(self.layers, low, high, strict=True))


class ParallelLayersRule(LayerRule):
    """The passage of bounds through a level, value by value."""

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        boxes = [layer.rule.interval(layer, low, high) for layer, low, high in op.module.parts(lower, upper)]
        join: Callable[[Sequence[Tensor]], Tensor] = op.module.state.joined
        return join([box[0] for box in boxes]), join([box[1] for box in boxes])

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        parts = op.module.parts(lower, upper)
        found: Tensor = op.module.state.joined(
            [
                torch.zeros_like(low, dtype=torch.bool) if _passes(layer) else layer.rule.undecided(layer, low, high)
                for layer, low, high in parts
            ]
        )
        return found

    def known(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        found: Tensor = op.module.state.joined(
            [layer.rule.known(layer, low, high) for layer, low, high in op.module.parts(lower, upper)]
        )
        return found

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        parts = [_relaxed(*part) for part in op.module.parts(lower, upper)]
        join: Callable[[Sequence[Tensor]], Tensor] = op.module.state.joined
        slope = join([part.lower_slope for part in parts])
        parallel = all(part.parallel for part in parts)
        return Relaxation(
            lower_slope=slope,
            lower_offset=join([part.lower_offset for part in parts]),
            upper_slope=slope if parallel else join([part.upper_slope for part in parts]),
            upper_offset=join([part.upper_offset for part in parts]),
            from_origin=all(part.from_origin for part in parts),
        )

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        parts = [_lines(*part) for part in op.module.parts(lower, upper)]
        join: Callable[[Sequence[Tensor]], Tensor] = op.module.state.joined
        return _stacked([below for below, _ in parts], join), _stacked([above for _, above in parts], join)


def _passes(layer: Operator) -> bool:
    return isinstance(layer.rule, IdentityRule)


def _relaxed(layer: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
    if not _passes(layer):
        return layer.rule.relax(layer, lower, upper)
    one, zero = torch.ones_like(lower), torch.zeros_like(lower)
    return Relaxation(lower_slope=one, lower_offset=zero, upper_slope=one, upper_offset=zero, from_origin=True)


def _lines(layer: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
    if not _passes(layer):
        return layer.rule.lines(layer, lower, upper)
    line = (torch.ones_like(lower), torch.zeros_like(lower))
    return [line], [line]


def _stacked(sides: Sequence[list[Line]], join: Callable[[Sequence[Tensor]], Tensor]) -> list[Line]:
    """Lines of whole states. A value with fewer lines repeats its last one."""
    count = max(len(lines) for lines in sides)
    chosen = [[lines[min(place, len(lines) - 1)] for lines in sides] for place in range(count)]
    return [(join([slope for slope, _ in lines]), join([offset for _, offset in lines])) for lines in chosen]
