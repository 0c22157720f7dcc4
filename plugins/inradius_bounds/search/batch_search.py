"""The searches for the examples of a batch, one after the other, over each convex part of their sets."""

import torch
from torch import Tensor, nn

from inradius import Oracles, Property
from inradius.certifiers.search_states import within
from inradius_bounds.search.decision import Decision
from inradius_bounds.search.example_search import ExampleSearch
from inradius_bounds.search.first_bounds import FirstBounds
from inradius_bounds.search.search_limit import SearchLimit
from inradius_bounds.search.search_settings import SearchSettings


def decisions(
    first: FirstBounds, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, settings: SearchSettings
) -> list[Decision]:
    """The decision about each example of a batch x (B, *S)."""
    done, found = prop.holds(first.safe > 0).tolist(), []
    for example in range(len(x)):
        if done[example]:
            found.append(Decision(first.safe[example], True))
            continue
        index = torch.tensor([example], device=x.device)
        with within("example", example):
            found.append(_decided(first.select(index), model, x[index], threat.select(index), settings))
    return found


def _decided(first: FirstBounds, model: nn.Module, x: Tensor, threat: Oracles, settings: SearchSettings) -> Decision:
    """The decision about one example x (1, *S)."""
    limit = SearchLimit.of(settings)
    parts = None if threat.convex else threat.convex_parts(x)
    if parts is None:
        return ExampleSearch(first, model, x, threat, threat, settings).decision(limit)
    found: list[Decision] = []
    for number, part in enumerate(parts):
        own = FirstBounds.of(model, x, part, first.prop, settings.memory)
        with within("part", number):
            found.append(ExampleSearch(own, model, x, part, threat, settings).decision(limit))
        if found[-1].witness is not None or limit.over:
            break
    left = [Decision(torch.full_like(found[0].value, -torch.inf), False)] * (len(found) < len(parts))
    return Decision.over([*found, *left])
