"""Several data sets joined into one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import Dataset, InputError
from inradius.sets.arithmetic.sides import listed
from inradius.training.losses import targets_of


def joined(*members: Dataset) -> Dataset:
    """The examples of all members, one member after the other; ``source`` is the number of each example's member.

    The examples of the first member keep their numbers. The numbers of the others continue from there, so all are
    distinct. Where one member has mixed labels, all have. Raises ``InputError`` for members whose inputs differ in
    kind.
    """
    if len(members) < 2:
        raise InputError(f"joined was given {len(members)} data sets; allowed are two or more")
    for member in members[1:]:
        _check_alike(members[0], member)
    return Dataset(
        inputs=torch.cat([member.inputs for member in members]),
        labels=torch.cat([member.labels for member in members]),
        index=torch.cat(_numbers(members)),
        bounds=members[0].bounds,
        name=f"joined({', '.join(member.name for member in members)})",
        targets=_targets(members),
        source=torch.cat([torch.full((len(member),), place) for place, member in enumerate(members)]),
    )


def _check_alike(first: Dataset, other: Dataset) -> None:
    a, b = ((tuple(data.inputs.shape[1:]), data.inputs.dtype, listed(data.bounds)) for data in (first, other))
    if a != b:
        raise InputError(
            f"{other.name} has inputs of shape {b[0]}, type {b[1]} and bounds {b[2]}, but {first.name} has {a[0]}, {a[1]} and "
            f"{a[2]}; allowed are sets that agree in all three"
        )


def _numbers(members: Sequence[Dataset]) -> list[Tensor]:
    """For each member, the numbers of its examples; they are raised where that keeps them distinct from earlier members'."""
    numbers, taken = [], 0
    for place, member in enumerate(members):
        numbers.append(member.index + taken if place else member.index)
        taken = int(numbers[-1].max()) + 1 if len(member) else taken
    return numbers


def _targets(members: Sequence[Dataset]) -> Tensor | None:
    widths = {member.targets.shape[1] for member in members if member.targets is not None}
    if not widths:
        return None
    classes = max(*widths, *(member.classes for member in members))
    if widths != {classes}:
        raise InputError(
            f"the members' mixed labels have {sorted(widths)} classes, and there are {classes}; give all members {classes} classes"
        )
    return torch.cat([targets_of(member, classes, member.inputs.dtype) for member in members])
