"""The radius of each example: the largest that is certified, the smallest that an attack breaks."""

import warnings
from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_flag, check_kind, check_model, numbered
from inradius.attacks.attack import Attack
from inradius.attacks.counted_model import CountedModel
from inradius.certifiers.certificate import DEFAULT_CLAIM, IN_PYTHON, Claim, weaker
from inradius.certifiers.certifier import Certifier
from inradius.errors import InputError
from inradius.models.modes import evaluating
from inradius.outcomes.classes import TOP1
from inradius.outcomes.outcome import Outcome
from inradius.sets.threat_model import ThreatModel

# radii are looked for between these factors of the set's own
_SMALLEST, _LARGEST = 2.0**-20, 2.0**20


@attrs.frozen(eq=False)
class Radii:
    """Factors of the threat model's radius, example by example.

    certified (B,): the largest found at which a certificate holds, 0 where there is none; attacked (B,): the smallest found
    at which an attack succeeds, inf where there is none, 0 where the input is misclassified. The truth lies between.
    """

    certified: Tensor
    attacked: Tensor


def radii(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: ThreatModel,
    certifier: Certifier,
    attack: Attack | None = None,
    *,
    index: Tensor | None = None,
    tolerance: float = 0.01,
    accept_solver: bool = False,
    claim: Claim = DEFAULT_CLAIM,
    outcome: Outcome = TOP1,
) -> Radii:
    """The certified and the attacked radius of each example of a batch x (B, *S), as factors of the set's own radius.

    Both are found by bisection on each example's own radius, to a relative ``tolerance``; every radius reported was itself
    certified or attacked. Δ(x) must grow with its radius. The model is in eval mode meanwhile; what is attacked is what the
    certifier certifies. ``claim`` is the level that a proof must have to count; a solver's word counts as a certificate with
    ``accept_solver`` alone. A warning counts the examples whose certificates are all at a weaker level. ``outcome`` says what
    counts as broken. Raises
    ``InputError`` for inputs that are not allowed, and ``UnsupportedError`` for a set without a radius.
    """
    y = _checked(model, x, y, threat, certifier, attack, tolerance, outcome)
    check_flag(accept_solver, "accept_solver")
    where, subject = numbered(index, x), certifier.subject(model)
    # examples that are certified somewhere, at a level that does not count
    left_out = torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def proved(rows: Tensor, factors: Tensor) -> Tensor:
        options: dict[str, Any] = {"index": where[rows], "claim": claim, "decide": True, "outcome": outcome}
        found = certifier(model, x[rows], y[rows], threat.per_example(factors), **options)
        left_out[rows] |= found.weaker
        return found.counted(accept_solver=accept_solver)

    def robust(rows: Tensor, factors: Tensor) -> Tensor:
        assert attack is not None
        options: dict[str, Any] = {"index": where[rows], "outcome": outcome}
        return ~attack(subject, x[rows], y[rows], threat.per_example(factors), **options).success

    with torch.no_grad(), evaluating(model):
        wrong = outcome.judged(CountedModel(subject, y, outcome=outcome).outputs(x), y) <= 0
        inner, _ = _search(proved, x, ~wrong, tolerance)
        outer = torch.full_like(inner, torch.inf)
        if attack is not None:
            _, outer = _search(robust, x, ~wrong, tolerance)
    if lost := int((left_out & (inner == 0)).sum()):
        warnings.warn(weaker(lost, IN_PYTHON), UserWarning, stacklevel=2)
    return Radii(inner, torch.where(wrong, torch.zeros_like(outer), outer))


def _checked(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: ThreatModel,
    certifier: Certifier,
    attack: Attack | None,
    tolerance: float,
    outcome: Outcome,
) -> Tensor:
    """The labels as the outcome takes them on the device of the inputs. Raises ``InputError`` where an argument is not allowed."""
    check_kind(outcome, Outcome, "outcome")
    labels = outcome.check_labels(x, y)
    check_model(model, x)
    check_kind(threat, ThreatModel, "threat")
    check_kind(certifier, Certifier, "certifier")
    if attack is not None:
        check_kind(attack, Attack, "attack")
    threat.check_inputs(x)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
        raise InputError(f"tolerance={tolerance!r} is not allowed; allowed is a number between 0 and 1")
    return labels.to(x.device)


def _search(
    holds: Callable[[Tensor, Tensor], Tensor], x: Tensor, open_: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """For each open example the largest factor seen at which ``holds`` is true, and the smallest at which it is not."""
    low = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    high = torch.full_like(low, torch.inf)
    rows = open_.nonzero().squeeze(1)
    while len(rows):
        factors = _next(low[rows], high[rows])
        good = holds(rows, factors)
        low[rows] = torch.where(good, factors, low[rows])
        high[rows] = torch.where(good, high[rows], factors)
        done = (high[rows] - low[rows] <= tolerance * low[rows]) | (low[rows] >= _LARGEST) | (high[rows] <= _SMALLEST)
        rows = rows[~done]
    return low, high


def _next(low: Tensor, high: Tensor) -> Tensor:
    """The next factors to try: twice or half as far while one side is unknown, then the geometric mean, (B,)."""
    first = torch.ones_like(low)
    grown = torch.where(low > 0, 2 * low, first)
    shrunk = high / 2
    between = (low * high).sqrt()
    return torch.where(high.isinf(), grown, torch.where(low > 0, between, shrunk))
