"""``inradius.pareto``: networks trained at many settings, judged alike, and kept in a folder."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn

from inradius.certifiers.certifier import Certifier
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import InputError
from inradius.pareto.methods import METHODS, USUAL, Method, method_of
from inradius.pareto.point import Point
from inradius.pareto.trade_off import TradeOff
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import as_folder, writable_folder
from inradius.stored.reading import Record
from inradius.stored.shared_work import shared
from inradius.training.defense import Defense
from inradius.training.train import train

POINT = "point.json"
RESULT = "pareto.json"


def pareto(
    methods: Sequence[str] = USUAL,
    model: str = "mnist_small",
    data: Dataset | str = "mnist5k(split='train')",
    threat: ThreatModel | str = "linf(eps=0.1)",
    *,
    folder: str | Path,
    judged_on: Dataset | str = "mnist5k(split='held_out')",
    dials: Sequence[float] = (),
    scales: Sequence[float] = (1.0,),
    seeds: int = 1,
    certifier: Certifier | str = "crown()",
    count: int = 0,
    batch_size: int = 100,
    show: Callable[[Point], None] = lambda point: None,
    **options: Any,
) -> TradeOff:
    """The trade-off of clean and certified accuracy: a trained network for each method, dial, factor of the radius and seed.

    ``methods`` are names (``inradius.pareto.methods.METHODS``) or specs with ``{dial}`` in them; ``dials`` replace a
    method's own. A network is trained on the set at ``scales`` times its radius, and judged at the radius itself on
    the first ``count`` examples of ``judged_on`` (0: all) by ``certifier``, part by part of a union. ``options`` are
    those of ``train``. ``folder`` keeps each point as soon as it is known, so that the same call goes on where it was
    stopped, within a training too, and several processes that make it share the points; points of another question
    there are refused. ``show`` is called with each point.
    """
    asked = _Question(
        model=model,
        data=make(data, Dataset),
        threat=make(threat, ThreatModel),
        judged=_first(make(judged_on, Dataset), count),
        certifier=make(certifier, Certifier),
        batch_size=batch_size,
        options=options,
    )
    place = writable_folder(as_folder(folder))
    known = [method_of(given, dials) for given in methods]
    _check(known, scales, seeds)
    settings = {place / _name(*setting) / POINT: setting for setting in _settings(known, scales, seeds)}
    points = {}
    for path, kept in shared({path: partial(asked.record, path, *setting) for path, setting in settings.items()}):
        points[path] = asked.point(path, kept)
        show(points[path])
    in_order = tuple(points[path] for path in settings)
    found = TradeOff(points=in_order, setting=asked.setting())
    found.save(place / RESULT)
    return found


@attrs.frozen(eq=False, kw_only=True)
class _Question:
    """The settings that all points of a trade-off share."""

    model: str
    data: Dataset
    threat: ThreatModel
    judged: Dataset
    certifier: Certifier
    batch_size: int
    options: Mapping[str, Any]

    def setting(self) -> dict[str, Any]:
        """The question as plain values."""
        options = {
            name: value if isinstance(value, int | float) else str(value) for name, value in self.options.items()
        }
        return {
            "model": self.model,
            "data": self.data.name,
            "threat": self.threat.spec(full=True),
            "judged_on": self.judged.name,
            "examples": len(self.judged),
            "certifier": self.certifier.spec(full=True),
            "options": options,
        }

    def point(self, path: Path, kept: Record) -> Point:
        """The point of a record. Raises ``InputError`` for one of another question."""
        if kept["setting"] != self.setting():
            raise InputError(
                f"{str(path)!r} is a point of another question ({_difference(kept['setting'], self.setting())}); allowed is a "
                "folder of its own for each question"
            )
        return Point(**kept["point"])

    def record(self, path: Path, method: Method, dial: float, scale: float, seed: int) -> Record:
        """A new point with its question; its training goes on where it was stopped."""
        place = path.parent
        began = time.process_time()
        defense = make(method.spec(dial), Defense)
        trained = self.threat if scale == 1 else self.threat.scaled(scale)
        network = train(
            defense, self.model, self.data, trained, folder=place / "training", **{"seed": seed, **self.options}
        )
        clean, certified = self._judged(defense, network)
        found = Point(
            method=method.name,
            dial=dial,
            scale=scale,
            seed=seed,
            spec=str(defense),
            examples=len(self.judged),
            clean=clean,
            certified=certified,
            seconds=round(time.process_time() - began, 1),
            folder=str(Path(place.parent.name) / place.name),
        )
        return {"setting": self.setting(), "point": attrs.asdict(found)}

    def _judged(self, defense: Defense, network: nn.Module) -> tuple[float, float]:
        """The shares that are right, and right and certified."""
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        right, proved = 0, 0
        for batch in self.judged.batches(self.batch_size):
            one, other = defense.proved(network, batch.to(device), self.threat, self.certifier)
            right, proved = right + int(one.sum()), proved + int((one & other).sum())
        return right / len(self.judged), proved / len(self.judged)


def _name(method: Method, dial: float, scale: float, seed: int) -> Path:
    """The folder of a point within that of the whole."""
    return Path("points") / re.sub(r"[^\w.,=+-]+", "_", f"{method.name}-{dial:g}-{scale:g}-{seed}")


def _settings(
    methods: Sequence[Method], scales: Sequence[float], seeds: int
) -> Iterator[tuple[Method, float, float, int]]:
    """Every setting, seed by seed, so that a run that is stopped has whole fronts."""
    for seed in range(seeds):
        for method in methods:
            for dial in method.dials:
                for scale in scales:
                    yield method, dial, float(scale), seed


def _check(methods: Sequence[Method], scales: Sequence[float], seeds: object) -> None:
    if not methods:
        raise InputError(f"no methods are given; allowed are {', '.join(METHODS)}, and specs with {{dial}} in them")
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise InputError(f"seeds={seeds!r} is not allowed; allowed is an integer ≥ 1")
    if not scales or not all(isinstance(scale, int | float) and 0 < scale < float("inf") for scale in scales):
        raise InputError(f"scales={tuple(scales)} are not allowed; allowed are finite numbers > 0")
    for method in methods:
        for dial in method.dials:
            # a wrong spec is told before the first training
            make(method.spec(dial), Defense)


def _first(data: Dataset, count: int) -> Dataset:
    found = data.take(count) if count else data
    if not len(found):
        raise InputError(f"{data.name} has no examples to judge networks on; give at least one")
    return found


def _difference(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    name = next(each for each in asked if kept.get(each) != asked[each])
    return f"{name}={kept.get(name)!r} where {asked[name]!r} is asked for"
