"""The certificate that is being made: what a certifier may need to know of it while it computes bounds."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import attrs
import torch

from inradius.certifiers.certificate import DEFAULT_CLAIM, Claim


@attrs.frozen(eq=False)
class CertificateInProgress:
    """A certificate in the making.

    dtype: the type in which the model was handed over, also while bounds are computed in a wider one; claim: the level that
    is asked for in this pass, "float" or "real", where "float" asks for bounds of every floating-point execution of the
    model (``Bounds.claim`` says which level they hold at); decide: whether the sign of each row is all that matters, so that
    a row may be left as soon as it is proved to be above 0 or refuted; memo: whatever is worth keeping until the certificate
    is finished, such as the captured computation of the model, over all of its passes.
    """

    dtype: torch.dtype
    claim: Claim = DEFAULT_CLAIM
    decide: bool = False
    memo: dict[Any, Any] = attrs.field(factory=dict)


_current: ContextVar[CertificateInProgress | None] = ContextVar("inradius_proof", default=None)


@contextmanager
def certificate_in_progress(
    dtype: torch.dtype, *, claim: Claim = DEFAULT_CLAIM, decide: bool = False
) -> Iterator[CertificateInProgress]:
    """While the block runs, ``current_certificate`` gives the certificate that is being made for a model of type ``dtype``."""
    with _set(CertificateInProgress(dtype, claim, decide)) as proof:
        yield proof


@contextmanager
def at_level(claim: Claim) -> Iterator[CertificateInProgress]:
    """While the block runs, the certificate that is being made is one at level ``claim``, with the memo that it has."""
    proof = _current.get()
    assert proof is not None, "a level is that of a certificate"
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
    """The certificate that is being made; None where bounds are computed for training, or on their own."""
    return _current.get()
