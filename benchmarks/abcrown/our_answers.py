"""Our answer to an instance, its CPU seconds after loading, and the count of domains."""

import gc
import time
from pathlib import Path

from inradius import load_model
from inradius.models.onnx.network import OnnxNetwork
from inradius.verification.clock import Clock
from inradius.verification.replay import Replay
from inradius.verification.verify_file import VerifyOptions
from inradius.verification.verify_query import verify_query
from inradius.verification.vnnlib.query import read_query
from inradius_bounds.search.outcome import Outcome

MADE: list[Outcome] = []


def counted() -> None:
    """Keeps the state of each search, which has the count of its domains."""
    of = Outcome.of

    def kept(*given: object) -> Outcome:
        MADE.append(of(*given))
        return MADE[-1]

    Outcome.of = kept


def answer(network: str, prop: str, seconds: float) -> dict:
    """Our status, CPU seconds after loading, and the count of domains of one instance."""
    options = VerifyOptions(timeout=seconds)
    query, model, replay = read_query(Path(prop)), load_model(network), Replay.of(Path(network))
    assert isinstance(model, OnnxNetwork)
    MADE.clear()
    gc.collect()
    start = time.process_time()
    found = verify_query(
        *(model, query, Clock(seconds)),
        **{
            "shape": model.input_shape,
            "dtype": model.dtype,
            "certifier": options.certifier,
            "claim": options.claim,
            "replay": replay,
        },
    )
    spent = time.process_time() - start
    return {"status": found.status, "seconds": spent, "domains": sum(each.visited for each in MADE)}
