"""The rows and clauses of properties, and their checks."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from inradius.errors import InputError

# this many clauses are a matrix of some ten megabytes; their count grows with the binomial coefficient
MOST_CLAUSES = 100_000

Side = Tensor | Sequence[float] | float


def check_rows(weights: Tensor, offsets: Tensor) -> None:
    """Raises ``InputError`` unless weights (B, K, O) and offsets (B, K) are finite numbers of matching shapes."""
    for name, given, shape in (("weights", weights, "(B, K, O) or (K, O)"), ("offsets", offsets, "(B, K) or (K,)")):
        if not isinstance(given, Tensor) or not given.is_floating_point():
            raise InputError(
                f"the property's {name} are {_kind(given)}; allowed is a floating-point tensor of shape {shape}"
            )
    if not _fit(weights, offsets):
        raise InputError(
            f"the property has weights of shape {tuple(weights.shape)} and offsets of shape {tuple(offsets.shape)}; allowed "
            "are (B, K, O) and (B, K), or (K, O) and (K,), with at least one row and one output"
        )
    if weights.dtype != offsets.dtype or weights.device != offsets.device:
        raise InputError(
            f"the property's weights are {weights.dtype} on {weights.device} and its offsets {offsets.dtype} on "
            f"{offsets.device}; allowed is one type and one device"
        )
    # a finite sum proves that all its terms are finite; the sum of finite numbers may rarely overflow, which is checked below
    if math.isfinite(float(weights.detach().sum() + offsets.detach().sum())):
        return
    if not bool(weights.isfinite().all() & offsets.isfinite().all()):
        raise InputError("the property's weights or offsets are NaN or infinite; allowed are finite numbers")


def _fit(weights: Tensor, offsets: Tensor) -> bool:
    if weights.ndim != 3 or offsets.ndim != 2 or weights.shape[1] != offsets.shape[1]:
        return False
    mates = len(weights) == len(offsets) or 1 in (len(weights), len(offsets))
    return mates and weights.shape[1] > 0 and weights.shape[2] > 0


def _kind(given: object) -> str:
    return f"{given.dtype} of shape {tuple(given.shape)}" if isinstance(given, Tensor) else f"a {type(given).__name__}"


def check_clauses(clauses: object, rows: int) -> None:
    """Raises ``InputError`` unless clauses (M, K) state which of the rows are in which clause."""
    if not isinstance(clauses, Tensor) or clauses.dtype != torch.bool:
        raise InputError(
            f"the property's clauses are {_kind(clauses)}; allowed is a boolean tensor (clauses, {rows}), or None"
        )
    if clauses.ndim != 2 or not len(clauses) or clauses.shape[1] != rows:
        raise InputError(
            f"the property's clauses have shape {tuple(clauses.shape)}; allowed is at least one clause, (clauses, {rows})"
        )
    if len(clauses) > MOST_CLAUSES:
        raise InputError(f"the property has {len(clauses)} clauses; allowed are at most {MOST_CLAUSES}")
    empty = ~clauses.any(1)
    if bool(empty.any()):
        raise InputError(
            f"clause {int(empty.nonzero()[0])} of the property has no row; allowed is at least one in each"
        )


def differences(y: object, classes: object, name: str, dtype: torch.dtype | None) -> Tensor:
    """unit[y] − unit[j] for every j ≠ y in ascending order, (B, classes − 1, classes)."""
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        raise InputError(f"classes={classes!r} is not allowed; allowed is an integer ≥ 2")
    chosen = _as_classes(y, classes, name)
    unit = torch.eye(classes, dtype=dtype, device=chosen.device)
    steps = torch.arange(classes - 1, device=chosen.device)
    others = steps + (steps >= chosen[:, None])
    return unit[chosen][:, None] - unit[others]


def _as_classes(y: object, classes: int, name: str) -> Tensor:
    if not isinstance(y, Tensor) or y.ndim != 1 or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise InputError(f"the {name} are {_kind(y)}; allowed is a tensor of one integer per input, (B,)")
    chosen = y.to(torch.int64)
    least, most = (int(end) for end in torch.aminmax(chosen)) if len(chosen) else (0, 0)
    if least < 0 or most >= classes:
        wrong = least if least < 0 else most
        raise InputError(f"{name[:-1]} {wrong} is out of range; allowed are the classes 0 to {classes - 1}")
    return chosen


def subsets(rows: int, k: int) -> Tensor:
    """Every subset of ``k`` rows, (clauses, rows)."""
    count = math.comb(rows, k)
    if count > MOST_CLAUSES:
        raise InputError(
            f"{rows + 1} classes have {count} subsets of k={k} others, each of them a clause; allowed are at most {MOST_CLAUSES}"
        )
    members = torch.tensor(list(itertools.combinations(range(rows), k)))
    return torch.zeros(count, rows, dtype=torch.bool).scatter_(1, members, value=True)


def two_sides(low: Side, high: Side) -> tuple[Tensor, Tensor]:
    """Both sides as tensors of one shape, (1, O) or (B, O)."""
    below, above = _side(low, "low"), _side(high, "high")
    try:
        shape = torch.broadcast_shapes(below.shape, above.shape)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise InputError(
            f"low has shape {tuple(below.shape)} and high {tuple(above.shape)}; allowed is one number for each output, (O,)"
        ) from error
    kind, size = torch.promote_types(below.dtype, above.dtype), shape[-1] if shape else 1
    below, above = (side.to(below.device, kind).expand(shape).reshape(-1, size) for side in (below, above))
    if not bool((below < above).all()):
        raise InputError(
            "low is not below high everywhere; allowed are low < high for every output, with -inf or inf for no side"
        )
    return below, above


def _side(given: object, name: str) -> Tensor:
    try:
        # a float of Python has 64 bits
        side = given if isinstance(given, Tensor) else torch.as_tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} is a {type(given).__name__}; allowed is one number for each output, (O,)") from error
    if not side.is_floating_point() or side.ndim > 2 or bool(side.isnan().any()):
        raise InputError(
            f"{name} is {side.dtype} of shape {tuple(side.shape)}, or holds NaN; allowed is one floating-point number for each "
            "output, (O,), infinite for none"
        )
    return side.detach()


def asked(side: Tensor, name: str) -> Tensor:
    """A mask of the outputs that have a finite side, (O,)."""
    finite = side.isfinite()
    # no example says which; rows for all of them are as good as none
    asked = finite.any(0) if len(finite) else torch.ones_like(finite[:0].any(0))
    if not bool((finite == asked).all()):
        raise InputError(
            f"{name} is infinite for some inputs only; allowed is a side that is finite for all inputs or for none"
        )
    return asked


def not_above(weights: Tensor, offsets: Tensor, outputs: Tensor) -> Tensor:
    """True for the rows weights (K, O) · outputs (O,) + offsets (K,) that are at most 0 in exact arithmetic, (K,).

    Outputs are finite. A row is computed exactly where rounding may decide its sign.
    """
    w, c, y = weights.double(), offsets.double(), outputs.double()
    value, size = w @ y + c, w.abs() @ y.abs() + c.abs()
    sure = value.abs() > 4 * (len(y) + 2) * (torch.finfo(torch.float64).eps * size + torch.finfo(torch.float64).tiny)
    found = value <= 0
    numbers = list(map(Fraction, y.tolist()))
    for row in (~sure).nonzero().flatten().tolist():
        terms = (Fraction(weight) * number for weight, number in zip(w[row].tolist(), numbers, strict=True) if weight)
        found[row] = Fraction(float(c[row])) + sum(terms) <= 0
    return found
