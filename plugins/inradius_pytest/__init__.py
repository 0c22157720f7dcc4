"""The fixture ``bracket`` for pytest; it imports inradius when a test first asks for it."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from inradius import Report


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("inradius")
    group.addoption("--inradius-reports", metavar="FOLDER", help="A folder for the reports of tests that use bracket.")


@pytest.fixture
def bracket(request: pytest.FixtureRequest) -> Callable[..., "Report"]:
    """``bracket(model, data, threat, ...)`` is ``inradius.bracket``, whose runs are kept in pytest's cache.

    The model and the data may be specs. A run with the same weights, data and methods is answered from the cache. With
    ``--inradius-reports FOLDER`` the report of each call is saved there, under the name of its test.
    """
    made: list[object] = []

    def ask(model: Any, data: Any, threat: Any, *, weights: Any = None, **options: Any) -> "Report":
        import inradius

        named = {"model_name": model} if isinstance(model, str) else {}
        network = inradius.load_model(model, weights) if isinstance(model, str) else model
        examples = inradius.make(data, inradius.Dataset) if isinstance(data, str) else data
        the_set = inradius.make(threat, inradius.ThreatModel)
        if "folder" in options:
            report = inradius.bracket(network, examples, the_set, **named | options)
        else:
            with _kept_in(_runs(request)):
                report = inradius.bracket(network, examples, the_set, **named | options)
        made.append(report)
        _keep(report, request, len(made))
        return report

    return ask


def _keep(report: "Report", request: pytest.FixtureRequest, number: int) -> None:
    """Writes the numbers into the record of the test, and the report into the folder that is asked for."""
    request.node.user_properties.append(
        (f"bracket {number}", f"{report.lower:.4g} <= robust accuracy <= {report.upper:.4g}")
    )
    place = request.config.getoption("--inradius-reports")
    if place:
        name = request.node.nodeid
        plain = "".join(letter if letter.isalnum() else "-" for letter in name)[-80:]
        report.save(Path(place) / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}-{number}")


def _runs(request: pytest.FixtureRequest) -> Path:
    """The folder of runs in pytest's cache; one of its own for each process of xdist, and one that goes where there is no cache."""
    cache = getattr(request.config, "cache", None)
    if cache is None:
        made: Path = request.getfixturevalue("tmp_path_factory").mktemp("inradius")
        return made
    # a run is held by one process at a time
    return Path(str(cache.mkdir("inradius"))) / os.environ.get("PYTEST_XDIST_WORKER", "") / "inradius-runs"


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """A block in which runs are kept in a folder."""
    from inradius.stored.files import RUNS

    before = RUNS.set(folder)
    try:
        yield
    finally:
        RUNS.reset(before)
