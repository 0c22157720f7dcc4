"""What is to be done, checked: the model, the data, the set, the methods."""

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, get_args

import attrs
import torch
from torch import Tensor, nn

from inradius._version import __version__
from inradius.arguments import check_flag
from inradius.attacks.attack import Attack
from inradius.bracketing.check_data import survey
from inradius.bracketing.key import code_fingerprint, full_specs, run_key
from inradius.bracketing.setting import Setting
from inradius.certifiers.certificate import Claim, check_claim, counts
from inradius.certifiers.certifier import Certifier, UnionMode
from inradius.components.component import Component
from inradius.components.registry import make
from inradius.data.dataset import Dataset, Examples
from inradius.errors import InputError, UnsupportedError
from inradius.models.fuse import optimize
from inradius.models.load import find_device, fingerprint
from inradius.sets.arithmetic.sides import numbers_alone
from inradius.sets.threat_model import ThreatModel

C = TypeVar("C", bound=Component)


@attrs.frozen(kw_only=True, eq=False)
class Plan:
    """A bracket to be worked out. ``subject`` is the function that the certifiers certify, and so the one to attack.

    ``quick`` computes the same in less time, for attacks whose answers are judged on the subject; the subject itself where
    none was asked for.
    """

    model: nn.Module
    subject: Callable[[Tensor], Tensor]
    quick: Callable[[Tensor], Tensor]
    data: Examples
    fingerprint: str
    threat: ThreatModel
    attacks: tuple[Attack, ...]
    certifiers: tuple[Certifier, ...]
    union: UnionMode
    audit: float
    exhaustive: bool
    seed: int
    batch_size: int
    optimize_model: bool
    accept_solver: bool
    claim: Claim
    device: torch.device

    @classmethod
    def of(
        cls,
        model: nn.Module,
        data: Examples,
        threat: ThreatModel | str,
        attacks: Sequence[Attack | str] | Attack | str,
        certifiers: Sequence[Certifier | str] | Certifier | str,
        device: torch.device | str | None,
        **options: Any,
    ) -> "Plan":
        """The plan, with every spec made and everything given checked. Raises ``InputError`` and ``SpecError``."""
        _check_options(**options)
        the_set = make(threat, ThreatModel)
        above, below = _several(attacks, Attack, "attacks"), _several(certifiers, Certifier, "certifiers")
        found = survey(model, data, the_set, options["batch_size"])
        model, place = _placed(model, data, device)
        subject = _subject(model, below)
        return cls(
            model=model,
            subject=subject,
            quick=optimize(model) if options["optimize_model"] and subject is model else subject,
            data=data,
            fingerprint=found,
            threat=the_set,
            attacks=above,
            certifiers=below,
            device=place,
            **options,
        )

    def setting(self, model_name: str | None, *, reuse: bool = False) -> Setting:
        """The record of what was asked, with the key of the run: batch size, device and names are no part of the key.

        ``reuse`` says that other radii of a curve may have decided examples.
        """
        decisive: dict[str, Any] = {
            "threat": self.threat.spec(full=True),
            "attacks": full_specs(self.attacks),
            "certifiers": full_specs(self.certifiers),
            "union": self.union,
            "seed": self.seed,
            "audit": float(self.audit),
            "exhaustive": self.exhaustive,
            "reuse": reuse,
            "optimize_model": self.optimize_model,
            "accept_solver": self.accept_solver,
            "claim": self.claim,
            "model_fingerprint": fingerprint(self.model),
            "data_fingerprint": self.fingerprint,
            "version": __version__,
            "code": code_fingerprint((self.threat, *self.attacks, *self.certifiers)),
        }
        return Setting(
            **decisive,
            model=model_name or type(self.model).__name__,
            data=self.data.name,
            radius=_radius(self.threat),
            convention=self.threat.convention,
            bounds=numbers_alone(self.data.bounds),
            minimal=tuple(str(attack) for attack in self.attacks if attack.minimal),
            key=run_key(decisive),
        )

    def accepts(self, level: str) -> bool:
        """Whether a certificate at this level counts."""
        return counts(level, self.claim, accept_solver=self.accept_solver)

    @property
    def size(self) -> int:
        """How many examples there are."""
        return len(self.data.labels)

    def read(self, rows: Sequence[int]) -> Dataset:
        """The examples in these rows, where the data are."""
        return self.data.select(torch.tensor(rows, dtype=torch.int64, device=self.data.labels.device))

    def batch(self, rows: Sequence[int]) -> Dataset:
        """The examples in these rows, where the model is."""
        return self.read(rows).to(self.device)


def _several(given: Sequence[C | str] | C | str, kind: type[C], name: str) -> tuple[C, ...]:
    """The components of a list of specs; a single one is a list of one."""
    single = isinstance(given, str | Component) or not isinstance(given, Iterable)
    several: Iterable[C | str] = [given] if single else given  # type: ignore[list-item, assignment]
    made = tuple(make(item, kind) for item in several)
    for item in made:
        if made.count(item) > 1:
            raise InputError(f"{name} has {item} more than once; give it once, or with another seed")
    return made


def _check_options(
    *,
    union: str,
    audit: float,
    exhaustive: bool,
    seed: int,
    batch_size: int,
    optimize_model: bool,
    accept_solver: bool,
    claim: Claim,
) -> None:
    if union not in get_args(UnionMode):
        raise InputError(f"union={union!r} is not allowed; allowed are 'each' and 'hull'")
    if isinstance(audit, bool) or not isinstance(audit, int | float) or not 0 <= audit <= 1:
        raise InputError(f"audit={audit!r} is not a share; allowed is a number between 0 and 1")
    check_flag(exhaustive, "exhaustive")
    check_flag(optimize_model, "optimize_model")
    check_flag(accept_solver, "accept_solver")
    check_claim(claim)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InputError(f"seed={seed!r} is not allowed; allowed is an integer")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size={batch_size!r} is not allowed; allowed is an integer ≥ 1")


def home(model: object) -> torch.device:
    """Where a model is, where it can be told; else the CPU."""
    tensors = (*model.parameters(), *model.buffers()) if isinstance(model, nn.Module) else ()
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def _placed(model: nn.Module, data: Examples, device: torch.device | str | None) -> tuple[nn.Module, torch.device]:
    """The model on the device asked for, by default its own; the caller's model stays where it is."""
    own = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), data.labels.device)
    place = own if device is None else find_device(device)
    return (model if place == own else copy.deepcopy(model).to(place)), place


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
