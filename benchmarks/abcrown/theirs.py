"""The peer's answers, in a process of its own that imports nothing of ours.

    python theirs.py PEER SETTINGS < INSTANCES > ANSWERS

PEER is the checkout of alpha-beta-CROWN, SETTINGS a file of its settings in JSON, and each line of INSTANCES an ONNX and a VNN-LIB
file. Each instance is answered by one line of JSON. The networks go to the peer as a plain sequence of layers, which its bounds
handle best, so onnx2pytorch is not needed. Modules that it imports and does not need here may be absent.
"""

import contextlib
import gc
import importlib
import io
import json
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import torch
from layers import layers, read

# what is imported by the peer and not called: solvers of linear programs, conversions, readers of images
UNUSED = (
    *(
        "gurobipy",
        "onnx2pytorch",
        "onnxoptimizer",
        "onnxsim",
        "skl2onnx",
        "skl2onnx.helpers",
        "skl2onnx.helpers.onnx_helper",
    ),
    *("torchvision", "torchvision.datasets", "torchvision.transforms"),
)


class Absent(ModuleType):
    """A module whose members cannot be called."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*args: object, **keywords: object) -> None:
            raise RuntimeError(f"{self.__name__}.{name} is not installed")

        return refuse


def prepared(peer: Path) -> ModuleType:
    """The peer's interface for Python, imported; its limits of time count CPU time."""
    for name in UNUSED:
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = Absent(name)
    sys.path[:0] = [str(peer), str(peer / "complete_verifier")]
    found = importlib.import_module("api")
    importlib.import_module("arguments").Config.all_args["general"]["device"] = "cpu"
    time.time = time.process_time
    return found


def answer(api: ModuleType, settings: dict, network: str, prop: str) -> dict:
    """The peer's status, CPU seconds after loading, and the count of domains of one instance."""
    model, shape = layers(network)
    spec = api.VerificationSpec.build_spec(vnnlib_path=prop, input_shape=shape)
    config = api.ConfigBuilder.from_defaults().update(settings)
    solver = api.ABCrownSolver(spec, model, config=config)
    gc.collect()
    start = time.process_time()
    found = solver.solve()
    seconds = time.process_time() - start
    return {"status": found.status, "seconds": seconds, "domains": sum(int(each[2]) for each in found.stats["bab"])}


def main() -> None:
    torch.set_num_threads(1)
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        api = prepared(Path(sys.argv[1]))
    settings = json.loads(Path(sys.argv[2]).read_text())
    for line in sys.stdin:
        network, prop = line.split()
        log.seek(0), log.truncate()
        try:
            with contextlib.redirect_stdout(log):
                found = answer(api, settings, network, read(prop))
        except Exception:
            found = {"status": "error", "seconds": 0.0, "domains": 0, "error": traceback.format_exc()}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
