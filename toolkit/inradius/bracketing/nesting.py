"""A test of two sets: does one lie within the other?"""

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
    """True where points of ``inner``, drawn inside and on its boundary, are all members of ``outer``.

    Two sets that differ in the radius alone are nested where the gauge falls as 1 / factor and the hard constraints do not
    depend on the factor.
    """
    rng = ExampleRNG(0, batch.index).fork(_BRANCH)
    return all(bool(outer.contains(delta, batch.inputs).all()) for delta in _points(inner, batch.inputs, rng))


def _points(threat: ThreatModel, x: Tensor, rng: ExampleRNG) -> Iterator[Tensor]:
    """Members of a set, (B, *S) each: the farthest along random directions, and random ones."""
    with torch.no_grad():
        for _ in range(_DRAWS):
            yield threat.linear_max(rng.normal(tuple(x.shape[1:]), dtype=x.dtype).to(x.device), x)
            yield threat.sample(x, rng=rng)
