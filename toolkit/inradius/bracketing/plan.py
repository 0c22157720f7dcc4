"""The plan of a bracket, checked: the model, the data, the set, the methods, the options."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius._version import __version__
from inradius.attacks.attack import Attack
from inradius.bracketing.check_data import check_data
from inradius.bracketing.options import BracketOptions
from inradius.bracketing.setting import Setting, code_fingerprint, full_specs, run_key
from inradius.bracketing.voting import COMPARED, Votes, on_means, votes_for
from inradius.certifiers.certificate import counts
from inradius.certifiers.certifier import Certifier
from inradius.components.registry import make
from inradius.data.dataset import Dataset, Examples
from inradius.errors import UnsupportedError
from inradius.models.fuse import optimize
from inradius.models.load import find_device, fingerprint, weights_fingerprint
from inradius.outcomes.classes import is_top1
from inradius.rng import ExampleRNG
from inradius.sets.arithmetic.sides import numbers_alone
from inradius.sets.threat_model import ThreatModel


@attrs.frozen(kw_only=True, eq=False)
class Plan:
    """The model, the data, the set and the methods of a bracket, as they are used.

    subject: the function that the certifiers certify, which is therefore the one to attack; quick: a function that computes
    the same in less time, for attacks whose answers are judged on the subject, or the subject itself where
    ``optimize_model`` is not set; votes: the passes that judge the model; device: the place of the model.
    """

    model: nn.Module
    subject: Callable[[Tensor], Tensor]
    quick: Callable[[Tensor], Tensor]
    data: Examples
    fingerprint: str
    threat: ThreatModel
    attacks: tuple[Attack, ...]
    certifiers: tuple[Certifier, ...]
    options: BracketOptions
    votes: int
    device: torch.device

    @classmethod
    def of(
        cls,
        model: nn.Module,
        data: Examples,
        threat: ThreatModel | str,
        options: BracketOptions,
        device: torch.device | str | None,
    ) -> "Plan":
        """The plan, with every spec made and everything given checked. Raises ``InputError`` and ``SpecError``."""
        the_set = make(threat, ThreatModel)
        options = options.for_threat(the_set)
        attacks, certifiers = options.attacks or (), options.certifiers or ()
        found = check_data(model, data, the_set, options.batch_size, options.outcome)
        model, place = _placed(model, data, device)
        subject = _subject(model, certifiers)
        votes = _votes(model, subject, data, the_set, options, place)
        return cls(
            model=model,
            subject=subject,
            quick=optimize(model) if options.optimize_model and subject is model else subject,
            data=data,
            fingerprint=found,
            threat=the_set,
            attacks=attacks if votes == 1 else on_means(attacks),
            certifiers=certifiers,
            options=options,
            votes=votes,
            device=place,
        )

    def setting(self, *, reuse: bool = False) -> Setting:
        """The record of the run with its key; batch size, device and names are no part of the key.

        ``reuse`` says that other radii of a curve may have decided examples.
        """
        options = self.options
        decisive: dict[str, Any] = {
            "threat": self.threat.spec(full=True),
            "attacks": full_specs(self.attacks),
            "certifiers": full_specs(self.certifiers),
            "union": options.union,
            "seed": options.seed,
            "audit": float(options.audit),
            "exhaustive": options.exhaustive,
            "reuse": reuse,
            "optimize_model": options.optimize_model,
            "accept_solver": options.accept_solver,
            "claim": options.claim,
            "outcome": options.outcome.spec(full=True),
            "votes": self.votes,
            "model_fingerprint": fingerprint(self.model),
            "data_fingerprint": self.fingerprint,
            "version": __version__,
            "code": code_fingerprint((self.threat, *self.attacks, *self.certifiers, options.outcome)),
        }
        return Setting(
            **decisive,
            model=options.model_name or type(self.model).__name__,
            data=self.data.name,
            radius=_radius(self.threat),
            convention=self.threat.convention,
            bounds=numbers_alone(self.data.bounds),
            minimal=tuple(str(attack) for attack in self.attacks if attack.minimal),
            weights=weights_fingerprint(self.model),
            time=options.time,
            # the limit is no part of the key, but the order of the methods depends on there being one
            key=run_key(decisive if options.time is None else {**decisive, "timed": True}),
        )

    @property
    def judged(self) -> Callable[[Tensor], Tensor]:
        """The function that the clean pass and the referee ask: the subject, or its votes where it is random."""
        return self.subject if self.votes == 1 else Votes(self.subject, self.votes)

    def accepts(self, level: str) -> bool:
        """True for a level at which a certificate counts."""
        return counts(level, self.options.claim, accept_solver=self.options.accept_solver)

    @property
    def size(self) -> int:
        """The number of examples."""
        return len(self.data.labels)

    def read(self, rows: Sequence[int]) -> Dataset:
        """The examples in these rows, on the device of the data, with labels as the outcome takes them."""
        found = self.data.select(torch.tensor(rows, dtype=torch.int64, device=self.data.labels.device))
        outcome = self.options.outcome
        if is_top1(outcome):
            return found
        return attrs.evolve(found, labels=outcome.check_labels(found.inputs, found.labels))

    def label(self, row: int) -> int | None:
        """The class of an example; None where its label is none."""
        return self.options.outcome.classes(self.data.labels[row : row + 1])[0]

    def batch(self, rows: Sequence[int]) -> Dataset:
        """The examples in these rows, on the device of the model."""
        return self.read(rows).to(self.device)


def device_of(model: object) -> torch.device:
    """The device of a model's tensors; the CPU where it has none."""
    tensors = (*model.parameters(), *model.buffers()) if isinstance(model, nn.Module) else ()
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def _placed(model: nn.Module, data: Examples, device: torch.device | str | None) -> tuple[nn.Module, torch.device]:
    """The model on the device asked for, by default its own, and that device; the caller's model is not moved."""
    own = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), data.labels.device)
    place = own if device is None else find_device(device)
    return (model if place == own else copy.deepcopy(model).to(place)), place


def _votes(
    model: nn.Module, subject: object, data: Examples, threat: ThreatModel, options: BracketOptions, place: torch.device
) -> int:
    """The passes that judge the model; a function of a certifier's own is asked once.

    A model may be random on perturbed inputs alone, so that members of the sets of a few examples are asked about too.
    """
    rows = (
        torch.linspace(0, len(data.labels) - 1, min(COMPARED, len(data.labels)), dtype=torch.float64)
        .round()
        .to(torch.int64)
    )
    few = data.select(rows.to(data.labels.device)).to(place)
    x, votes = few.inputs, options.votes if subject is model else 1
    if votes != 1 and is_top1(options.outcome):
        moved = threat.at(few.index, x).sample(x, rng=ExampleRNG(options.seed, few.index))
        x = torch.cat([x, x + moved])
    return votes_for(model, x, votes, options.outcome)


def _subject(model: nn.Module, certifiers: Sequence[Certifier]) -> Callable[[Tensor], Tensor]:
    subjects = [certifier.subject(model) for certifier in certifiers] or [model]
    for certifier, subject in zip(certifiers, subjects, strict=False):
        if subject is not subjects[0] and subject != subjects[0]:
            raise UnsupportedError(
                f"{certifiers[0]} and {certifier} certify different functions, so one bracket cannot hold both; "
                "run one bracket for each"
            )
    return subjects[0]


def _radius(threat: ThreatModel) -> float | None:
    """The threat model's radius, where it has one."""
    return None if threat.radius is None else float(threat.radius)
