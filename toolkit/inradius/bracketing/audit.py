"""Which decided examples the other side is shown as well."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius.rng import ExampleRNG

# fewer would seldom meet a method that is wrong on a few per cent of the examples: 0.95 ** 32 = 0.19
LEAST = 32
# so that no attack with the same seed draws these numbers for its own use
_BRANCH = 0x5EED


def audited(rows: Sequence[int], index: Tensor, seed: int, share: float) -> list[int]:
    """A random part of ``rows``: each with probability ``share``, and at least 32 (or all); none at all where it is 0.

    ``index`` numbers all examples of the data. An example's number and the seed decide, neither batches nor their order.
    """
    if share == 0 or not rows:
        return []
    chosen = torch.tensor(rows, dtype=torch.int64)
    draw = ExampleRNG(seed, index.cpu()[chosen]).fork(_BRANCH).uniform()
    count = max(LEAST, int((draw < share).sum()))
    return sorted(chosen[draw.argsort(stable=True)[:count]].tolist())
