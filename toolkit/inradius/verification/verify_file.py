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
from inradius.models.onnx.read import onnx_files
from inradius.verification.clock import Clock
from inradius.verification.replay import Replay
from inradius.verification.result import VerificationResult
from inradius.verification.verify import DEFAULT_CERTIFIER, DEFAULT_TIMEOUT, as_certifier, as_timeout
from inradius.verification.verify_query import verify_query
from inradius.verification.vnnlib.query import Query, read_query


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
        """A hash of the contents of the files, with those of weights beside the network, and of all settings but the time limit.

        Raises ``InputError`` for files that are not read.
        """
        _check_name(network)
        settings = f"{__version__} {self.certifier} {self.claim} {self.seed}"
        return question_hash(settings, _digest(prop), *map(_digest, onnx_files(network)))


def _check_name(network: Path) -> None:
    if network.suffix != ".onnx":
        raise InputError(f"{network} is no ONNX file by its name; allowed is an unpacked file that ends in .onnx")


def _check_declared(query: Query, model: OnnxNetwork, network: Path) -> None:
    """Raises ``InputError`` where a file declares inputs of other shapes or types than the network's, in its order.

    Axes of length 1 do not count.
    """
    if query.declared is None:
        return
    own = [tuple(length for length in shape if length != 1) for shape in model.input_parts]
    told = [tuple(length for length in each.shape if length != 1) for each in query.declared]
    types = {each.dtype for each in query.declared} - {None}
    if own != told or types - {model.dtype}:
        given = ", ".join(map(str, query.declared))
        takes = " and ".join(str(list(shape)) for shape in model.input_parts)
        raise InputError(
            f"the property declares {given}, and {network} takes {model.dtype} of the shapes {takes}, for one example; allowed are "
            "the network's inputs in its order"
        )


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
    _check_declared(query, model, network)
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
