"""Normalisations and activations that a network's spec names."""

from collections.abc import Callable, Collection, Mapping

from torch import nn

from inradius import SpecError

# GroupNorm's paper has 32 groups
_GROUPS = 32

NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda width: nn.GroupNorm(min(_GROUPS, width), width),
    "none": lambda width: nn.Identity(),
}
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "celu": nn.CELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}


def check_classes(classes: int) -> None:
    """Raises ``SpecError`` unless there are two classes or more."""
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        raise SpecError(f"classes={classes!r} is not allowed; allowed is an integer ≥ 2")


def check_choice(parameter: str, given: object, choices: Collection[object]) -> None:
    """Raises ``SpecError`` for a value that is none of the choices."""
    if given not in choices:
        raise SpecError(f"{parameter}={given!r} is not allowed; allowed are {', '.join(map(repr, choices))}")
