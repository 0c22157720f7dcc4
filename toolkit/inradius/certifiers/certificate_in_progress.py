"""The certificate in progress, with the facts that a certifier may need while it computes bounds."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import attrs
import torch

from inradius.certifiers.certificate import DEFAULT_CLAIM, Claim
from inradius.models.preserved import ModelState


@attrs.frozen(eq=False)
class CertificateInProgress:
    """The certificate that is being computed.

    dtype: the type of the model's inputs, also while bounds are computed in a wider type. claim: the level that this pass asks
    for, "float" or "real"; "float" asks for bounds of every floating-point execution of the model, and ``Bounds.claim`` states
    the level that they have. decide: true where only the sign of each row matters, so that work on a row may stop as soon as it
    is proved to be above 0 or refuted. memo: anything worth keeping over all passes until the certificate is finished, such as
    the captured computation of the model. state: the state of the model as it was handed over, which ``put_back`` restores.
    """

    dtype: torch.dtype
    claim: Claim = DEFAULT_CLAIM
    decide: bool = False
    memo: dict[Any, Any] = attrs.field(factory=dict)
    state: ModelState | None = None


_current: ContextVar[CertificateInProgress | None] = ContextVar("inradius_proof", default=None)


@contextmanager
def certificate_in_progress(
    dtype: torch.dtype, *, claim: Claim = DEFAULT_CLAIM, decide: bool = False, state: ModelState | None = None
) -> Iterator[CertificateInProgress]:
    """A context in which ``current_certificate`` gives a certificate for a model of type ``dtype``."""
    with _set(CertificateInProgress(dtype, claim, decide, state=state)) as proof:
        yield proof


@contextmanager
def at_level(claim: Claim) -> Iterator[CertificateInProgress]:
    """A context in which the certificate in progress is one at level ``claim``, with the same memo."""
    proof = _current.get()
    assert proof is not None, "no certificate is in progress"
    with _set(attrs.evolve(proof, claim=claim)) as other:
        yield other


@contextmanager
def _set(proof: CertificateInProgress) -> Iterator[CertificateInProgress]:
    token = _current.set(proof)
    try:
        yield proof
    finally:
        _current.reset(token)


def current_certificate() -> CertificateInProgress | None:
    """The certificate in progress; None where bounds are computed for training, or outside of a certificate."""
    return _current.get()
