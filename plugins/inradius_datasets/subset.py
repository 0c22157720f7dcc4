"""The first examples of a data set."""

import attrs

from inradius import Dataset, SpecError


def subset(data: Dataset, count: int) -> Dataset:
    """The first ``count`` examples, or all where there are fewer, (n, *S); they keep their numbers."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise SpecError(f"subset: count={count!r} is not allowed; allowed is an integer ≥ 1")
    return attrs.evolve(data.take(count), name=f"subset({data.name}, count={count})")
