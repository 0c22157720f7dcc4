"""Whether one set lies within another, as far as points of it tell."""

from collections.abc import Iterator

import torch
from torch import Tensor

from inradius.data.dataset import Dataset
from inradius.rng import ExampleRNG
from inradius.sets.threat_model import ThreatModel

_DRAWS = 2
# so that no attack with the same seed draws these numbers for its own use
_BRANCH = 0xDE57


def nested(inner: ThreatModel, outer: ThreatModel, batch: Dataset) -> bool:
    """Whether points of ``inner``, drawn inside and on its boundary, are members of ``outer``; two sets that differ in the
    radius alone are nested wherever every set's gauge falls as 1 / factor and its hard constraints know no factor.
    """
    rng = ExampleRNG(0, batch.index).fork(_BRANCH)
    return all(bool(outer.contains(delta, batch.inputs).all()) for delta in _points(inner, batch.inputs, rng))


def _points(threat: ThreatModel, x: Tensor, rng: ExampleRNG) -> Iterator[Tensor]:
    """Members of a set: the farthest along random directions, and random ones, (B, *S) each."""
    with torch.no_grad():
        for _ in range(_DRAWS):
            yield threat.linear_max(rng.normal(tuple(x.shape[1:]), dtype=x.dtype).to(x.device), x)
            yield threat.sample(x, rng=rng)
