"""``inradius.verify``: a property around one input is proved or refuted."""

import os
from pathlib import Path

import attrs
import torch
from torch import Tensor, nn

from inradius._version import __version__
from inradius.arguments import check_kind, check_model, check_tensor, check_threat
from inradius.certifiers.certificate import DEFAULT_CLAIM, Claim, check_claim
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.search_states import SearchStates, keeping, question_hash, tensor_bytes
from inradius.components.registry import make
from inradius.errors import InputError
from inradius.models.fingerprint import fingerprint
from inradius.models.modes import frozen
from inradius.models.outputs import asked, check_logits
from inradius.outcomes.property import Property
from inradius.outcomes.property_rows import not_above
from inradius.sets.oracles import Oracles
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import writable_folder
from inradius.verification.clock import Clock
from inradius.verification.decide import decide
from inradius.verification.question import Question, Witness
from inradius.verification.result import VerificationResult

DEFAULT_CERTIFIER = "branch_and_bound"
DEFAULT_TIMEOUT = 60.0

# the shares of a perturbation that are tried where the sum x + δ is rounded to outside of the set
_SHARES = (1.0, 1 - 2.0**-20, 1 - 2.0**-14, 1 - 2.0**-8)


def verify(
    model: nn.Module,
    x: Tensor,
    threat: Oracles | str,
    prop: Property,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    claim: Claim = DEFAULT_CLAIM,
    certifier: Certifier | str = DEFAULT_CERTIFIER,
    seed: int = 0,
    state: str | Path | None = None,
) -> VerificationResult:
    """The answer whether a property holds for f(x + δ) at every δ ∈ Δ(x), for one input x (1, *S).

    A search looks for a violating input, then the certifier looks for a proof at level ``claim``, and what time is left goes to
    the search. ``timeout`` is in seconds; it is asked for between the steps, so a step may end later. A witness lies in the set,
    with a computed gauge of at most 1 of a perturbation that is not rounded towards 0, and the numbers that the model computes
    for it alone violate the property in exact arithmetic. ``state`` names a file for the state of a search: the
    same call goes on from there, also where the process was killed, and an answer removes the file. It is written every ten
    seconds and at the end, and needs a set that is a component; over one whose class does not come with inradius, every search
    begins anew. Raises ``InputError`` for invalid arguments, and ``UnsupportedError`` for a model or a set without bounds.
    """
    clock = Clock(as_timeout(timeout))
    threat, certifier = make(threat, Oracles) if isinstance(threat, str) else threat, as_certifier(certifier)
    check_claim(claim)
    _check(model, x, threat, prop)
    states = None if state is None else _states(state, _question(model, x, threat, prop, claim))
    with torch.inference_mode(False), frozen(model), keeping(states):
        # copies, because no gradient passes tensors that were made in inference mode
        x, prop = x.clone(), _copied(prop)
        accept = _Judge(model, x, threat, prop)
        found = decide([Question(model, x, threat, prop, accept)], certifier, clock, claim, seed)
    if states is not None and found.answered:
        states.remove()
    return found


def _copied(prop: Property) -> Property:
    clauses = None if prop.clauses is None else prop.clauses.clone()
    return Property(prop.weights.clone(), prop.offsets.clone(), clauses)


def _states(path: str | Path, question: str) -> SearchStates:
    """The states in a file. Raises ``InputError`` where it cannot be written, or holds other states."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or Path(path).is_dir():
        raise InputError(f"state={path!r} names no file; allowed is the path of a file")
    writable_folder(Path(path).parent)
    return SearchStates.open(Path(path), question)


def _question(model: nn.Module, x: Tensor, threat: Oracles, prop: Property, claim: Claim) -> str:
    """A hash of everything that a proof depends on."""
    if not isinstance(threat, ThreatModel):
        raise InputError(
            f"state was given, and the set is a {type(threat).__name__}, which has no spec; allowed is a component, as in "
            "'linf(eps=0.1)'"
        )
    try:
        network = fingerprint(model)
    except (RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"state was given, and the model has tensors that are no dense arrays ({str(error).splitlines()[0]}); "
            "allowed is a model of dense parameters and buffers"
        ) from error
    clauses = () if prop.clauses is None else (prop.clauses,)
    numbers = map(tensor_bytes, (x, prop.weights, prop.offsets, *clauses))
    return question_hash(__version__, network, str(threat), claim, *numbers)


def as_timeout(seconds: object) -> float:
    """A limit in seconds. Raises ``InputError`` unless it is a positive number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise InputError(f"timeout={seconds!r} is not allowed; allowed is a positive number of seconds")
    return float(seconds)


def as_certifier(given: Certifier | str) -> Certifier:
    """The certifier that a spec names, or the given one."""
    certifier = make(given, Certifier) if isinstance(given, str) else given
    check_kind(certifier, Certifier, "certifier")
    return certifier


def _check(model: nn.Module, x: Tensor, threat: Oracles, prop: Property) -> None:
    check_tensor(x, "x")
    if x.ndim < 2 or len(x) != 1:
        raise InputError(f"x has shape {tuple(x.shape)}; allowed is one input, (1, *S)")
    check_model(model, x)
    check_threat(threat)
    check_kind(prop, Property, "property")
    threat.check_inputs(x)
    with frozen(model), torch.no_grad():
        outputs = asked(model, x)
    check_logits(outputs, 1, least=1)
    if prop.weights.shape[2] != outputs.shape[1]:
        raise InputError(
            f"the property has weights for {prop.weights.shape[2]} outputs; the model has {outputs.shape[1]}, and one weight for "
            "each is allowed"
        )
    prop.expand(1)


@attrs.frozen(eq=False)
class _Judge:
    """Accepts inputs of the set at which the model's own numbers violate the property in exact arithmetic."""

    model: nn.Module
    x: Tensor
    threat: Oracles
    prop: Property

    def __call__(self, point: Tensor) -> Witness | None:
        """The witness at an input, or nearer to x where rounding has put it outside of the set, or None."""
        x = self.x.double()
        for share in _SHARES:
            near = (x + share * (point.double() - x)).to(self.x)
            if bool(self.threat.contains(_difference(near.double(), x), x, tol=0)):
                with torch.no_grad():
                    outputs: Tensor = self.model(near.clone())
                return Witness(near, outputs) if violated(self.prop, outputs) else None
        return None


def violated(prop: Property, outputs: Tensor) -> bool:
    """True where the rows of some clause are all ≤ 0 at finite outputs (1, O), in exact arithmetic."""
    if not bool(outputs.isfinite().all()):
        return False
    failed = not_above(prop.weights[0], prop.offsets[0], outputs.flatten().to(prop.weights.device))
    return bool((~prop.holds(~failed[None])).all())


def _difference(a: Tensor, b: Tensor) -> Tensor:
    """a − b, or the number beyond it where rounding has taken it towards 0, so that it is no shorter than the exact one."""
    found = a - b
    part = found - a
    # the rounding error of a difference is a number of the same type (Knuth's two-sum)
    error = (a - (found - part)) - (b + part)
    short = ((error > 0) & (found > 0)) | ((error < 0) & (found < 0))
    return torch.where(short, torch.nextafter(found, found.sign() * torch.inf), found)
