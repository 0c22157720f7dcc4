"""An ONNX file against a VNN-LIB file."""

import hashlib
from pathlib import Path

import attrs

from inradius._version import __version__
from inradius.certifiers.certificate import DEFAULT_CLAIM, Claim, check_claim
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.search_states import SearchStates, keeping, question_hash
from inradius.errors import InputError
from inradius.models.load import load_model
from inradius.models.onnx.network import OnnxNetwork
from inradius.verification.clock import Clock
from inradius.verification.replay import Replay
from inradius.verification.result import VerificationResult
from inradius.verification.verify import DEFAULT_CERTIFIER, DEFAULT_TIMEOUT, as_certifier, as_timeout
from inradius.verification.verify_query import verify_query
from inradius.verification.vnnlib.query import read_query


@attrs.frozen(kw_only=True)
class VerifyOptions:
    """The settings of a verification: its time limit, certifier, claim and seed."""

    timeout: float = attrs.field(default=DEFAULT_TIMEOUT, converter=as_timeout)
    certifier: Certifier = attrs.field(factory=lambda: as_certifier(DEFAULT_CERTIFIER), converter=as_certifier)
    claim: Claim = DEFAULT_CLAIM
    seed: int = 0

    def __attrs_post_init__(self) -> None:
        check_claim(self.claim)

    def question(self, network: Path, prop: Path) -> str:
        """A hash of the contents of the files and of all settings but the time limit.

        Raises ``InputError`` for files that are not read.
        """
        _check_name(network)
        settings = f"{__version__} {self.certifier} {self.claim} {self.seed}"
        return question_hash(settings, *map(_digest, (network, prop)))


def _check_name(network: Path) -> None:
    if network.suffix != ".onnx":
        raise InputError(f"{network} is no ONNX file by its name; allowed is an unpacked file that ends in .onnx")


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); allowed is a file that can be") from error


def verify_file(
    network: Path, prop: Path, options: VerifyOptions, states: SearchStates | None = None
) -> VerificationResult:
    """The result for a network in an ONNX file and a property in a VNN-LIB file; the time limit includes reading them.

    With ``states`` searches go on from there, and keep theirs; an answer removes the file of the states.
    A witness is replayed by ``onnxruntime`` where it is installed. Raises ``InputError`` and ``UnsupportedError`` for files that
    are not read.
    """
    clock = Clock(options.timeout)
    _check_name(network)
    query = read_query(prop)
    model = load_model(str(network))
    if not isinstance(model, OnnxNetwork):
        raise InputError(f"{network} is read as a {type(model).__name__}; allowed is an ONNX network")
    with keeping(states):
        found = verify_query(
            model,
            query,
            clock,
            shape=model.input_shape,
            dtype=model.dtype,
            certifier=options.certifier,
            claim=options.claim,
            replay=Replay.of(network),
            seed=options.seed,
        )
    if states is not None and found.answered:
        states.remove()
    return found
