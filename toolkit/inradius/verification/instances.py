"""The instances of a folder as VNN-COMP lays it out: many networks and properties, resumable, shared by processes."""

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import torch

from inradius.certifiers.search_states import question_hash
from inradius.errors import InputError, InradiusError, StorageError
from inradius.processes import Processes, attempt
from inradius.stored.reading import record
from inradius.stored.shared_work import keep
from inradius.verification.competition import result_text
from inradius.verification.verify import as_timeout
from inradius.verification.verify_file import VerifyOptions, verify_file
from inradius.verification.vnnlib.files import text_of

Verify = Callable[[Path, Path, VerifyOptions], Any]


@attrs.frozen
class Instance:
    """One line of a file of instances: the names in it, and the limit in seconds."""

    network: str
    prop: str
    timeout: float


@attrs.frozen
class Answer:
    """The answer to one instance: a status, or "error" with a sentence in ``told``."""

    network: str
    prop: str
    status: str
    claim: str = ""
    seconds: float = 0.0
    told: str = ""


def read_instances(path: Path) -> list[Instance]:
    """The instances of a file whose lines are network, property, seconds. Raises ``InputError`` for any other line."""
    try:
        lines = list(csv.reader(text_of(path).splitlines(), strict=True))
    except csv.Error as error:
        raise InputError(f"{path} is no file of instances ({error}); allowed are lines of text with commas") from error
    found = [
        _instance(path, number, line) for number, line in enumerate(lines, 1) if any(cell.strip() for cell in line)
    ]
    if not found:
        raise InputError(f"{path} has no instances; allowed are lines such as net.onnx,prop.vnnlib,60")
    return found


def _instance(path: Path, number: int, line: Sequence[str]) -> Instance:
    try:
        network, prop, seconds = (cell.strip() for cell in line)
        return Instance(network, prop, as_timeout(float(seconds)))
    except ValueError as error:
        raise InputError(
            f"{path} has {','.join(line)[:80]!r} in line {number}; allowed are lines such as net.onnx,prop.vnnlib,60"
        ) from error


@attrs.frozen(eq=False)
class InstanceRun:
    """The instances of a file, answered with the same options, one file in ``folder`` for each answer.

    An answer that the folder holds is not looked for again, unless the run is ``fresh``. The name of an answer's file is a hash of
    the network, the property, the limit, the options and the version. Names in the file are relative to it.
    """

    path: Path
    folder: Path
    options: VerifyOptions
    fresh: bool = False
    verify: Verify = verify_file

    def answers(self) -> Iterator[Answer]:
        """The answers in the order of the file, in every process; each process answers its part."""
        processes = Processes("cpu", torch.device("cpu"))
        instances = read_instances(self.path)
        processes.on_main(lambda: self.folder.mkdir(parents=True, exist_ok=True))
        for first in range(0, len(instances), processes.count):
            turn = instances[first : first + processes.count]
            mine = turn[processes.rank : processes.rank + 1]
            for answers, error in processes.gather_objects(attempt(partial(self._all, mine))):
                if error is not None:
                    raise error
                yield from answers or ()

    def _all(self, instances: Sequence[Instance]) -> list[Answer]:
        return [self.answer(instance) for instance in instances]

    def answer(self, instance: Instance) -> Answer:
        """The answer to one instance, from the folder or found now. A file that is not read is an answer of status "error"."""
        network, prop = self.path.parent / instance.network, _packed(self.path.parent / instance.prop)
        options = attrs.evolve(self.options, timeout=instance.timeout)
        try:
            place = self.folder / f"{_key(network, prop, options)}.json"
            keep(place, partial(self._record, network, prop, options, instance), fresh=self.fresh)
        except StorageError:
            raise
        except InradiusError as error:
            return Answer(instance.network, instance.prop, "error", told=str(error))
        kept = record(place, ours=True)
        return Answer(instance.network, instance.prop, kept["status"], kept["claim"], kept["seconds"])

    def _record(self, network: Path, prop: Path, options: VerifyOptions, instance: Instance) -> dict[str, Any]:
        result = self.verify(network, prop, options)
        return {
            "network": instance.network,
            "property": instance.prop,
            "timeout": instance.timeout,
            "status": result.status,
            "claim": result.claim or "",
            "bound": result.bound,
            "seconds": round(result.seconds, 3),
            "result": result_text(result),
        }


def _packed(prop: Path) -> Path:
    """The file of a property; where there is none, the packed file that competitions have in its place."""
    others = (prop.with_name(f"{prop.name}{suffix}") for suffix in (".gz", ".xz"))
    return prop if prop.exists() else next((path for path in others if path.exists()), prop)


def _key(network: Path, prop: Path, options: VerifyOptions) -> str:
    """A hash of everything that determines an answer."""
    return question_hash(str(options.timeout), options.question(network, prop))[:24]
