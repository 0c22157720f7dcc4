"""The training set, and the validation set that selects the checkpoint; test data are refused unless the caller allows them."""

import hashlib
import re
from pathlib import PurePath

import attrs
from torch import Tensor

from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import InputError, InradiusError
from inradius.sets.arithmetic.sides import listed
from inradius.sets.threat_model import ThreatModel
from inradius.training.recipe import Recipe

# the names of the part of a data set that results are reported on
TEST_SPLITS = ("test", "held_out")
_SPLIT = re.compile(r"\bsplit=(['\"])(\w+)\1")
# the argument with the comma that parts it from the others
_TRAINING = re.compile(r"\bsplit=(['\"])train\1\s*,\s*|\s*,\s*split=(['\"])train\2|\bsplit=(['\"])train\3")
_QUOTED = re.compile(r"(['\"])(.*?)\1")
_TEST_WORD = re.compile(r"(?<![a-z])(test|held[ _-]?out)(?![a-z])", re.IGNORECASE)


@attrs.frozen(eq=False, kw_only=True)
class Selection:
    """The training set and the validation set that is used to select the checkpoint.

    on: a description of the validation set. test_data: True where the validation set is (part of) test data.
    """

    training: Dataset
    held_out: Dataset
    on: str
    test_data: bool

    def record(self, scored_by: str, threat: ThreatModel, literal: str) -> dict[str, object]:
        """The rule as plain values; ``literal`` is the set as it was given."""
        return {
            "rule": "the epoch with the highest score, the later one of equals",
            "score": scored_by,
            "on": self.on,
            "examples": len(self.held_out),
            "test_data": self.test_data,
            "threat": literal,
            "radius": threat.radius,
        }


def select(data: Dataset, validation: float | Dataset, recipe: Recipe, *, test_allowed: bool) -> Selection:
    """The training set and the validation set, which is a share of the data or the data set ``validation``.

    Raises ``InputError`` where ``validation`` is a set that is test data and not allowed, that is empty, whose inputs differ in
    shape or bounds, or that shares examples with the data.
    """
    if not isinstance(validation, Dataset):
        training, held_out = recipe.split(data)
        on = f"{validation:g} of {data.name}" if validation else "nothing: the last epoch counts"
        return Selection(training=training, held_out=held_out, on=on, test_data=says_test(data.name))
    _check_alike(data, validation)
    _check_apart(data, validation)
    reason = why_test(validation, data)
    if reason and not test_allowed:
        raise InputError(
            f"validation={validation.name} is test data ({reason}), and accuracy on data used for selection is biased; "
            "give other data, a share of the training data, or select_on_test=True (--select-on-test), which is recorded"
        )
    return Selection(training=data, held_out=validation, on=validation.name, test_data=reason is not None)


def _check_alike(data: Dataset, other: Dataset) -> None:
    if not len(other):
        raise InputError(f"validation={other.name} has no examples; give some, or validation=0 for none")
    for name, here, there in (
        ("inputs of shape", tuple(data.inputs.shape[1:]), tuple(other.inputs.shape[1:])),
        ("the valid inputs", listed(data.bounds), listed(other.bounds)),
    ):
        if here != there:
            raise InputError(
                f"validation={other.name} has {name} {there}, and {data.name} {here}; they must be the same"
            )


def _check_apart(data: Dataset, other: Dataset) -> None:
    if count := len(_rows(data.inputs) & _rows(other.inputs)):
        raise InputError(
            f"{count} of the {len(other)} examples of validation={other.name} are in {data.name}, which is trained on, and "
            "training examples cannot be used for validation; give others, or a share of the data"
        )


def why_test(candidate: Dataset, data: Dataset) -> str | None:
    """The reason why these examples are test data, by their name or a known split; None where there is none."""
    if says_test(candidate.name):
        return "its name says so"
    mine = _rows(candidate.inputs)
    for name in sorted({split for one in (candidate, data) for split in _test_splits(one.name)}):
        if count := len(mine & _known(name)):
            return f"{count} of its examples are in {name}"
    return None


def says_test(name: str) -> bool:
    """True for a spec or a name of a test split: by its ``split``, the file that it reads, or a word of the name."""
    if split := _SPLIT.search(name):
        return split[2] in TEST_SPLITS
    words = [PurePath(quoted[2]).stem for quoted in _QUOTED.finditer(name)] or [name]
    return any(_TEST_WORD.search(word) for word in words)


def evaluated_on(spec: str) -> str:
    """The spec of the data that a network trained on ``spec`` is evaluated on: without ``split='train'``, else the same."""
    return _TRAINING.sub("", spec)


def _test_splits(name: str) -> list[str]:
    """The specs of the same data with a test split, where the name is a spec with another one."""
    return [_SPLIT.sub(f"split='{split}'", name) for split in TEST_SPLITS] if _SPLIT.search(name) else []


def _known(spec: str) -> set[bytes]:
    """The examples of that spec, none where there is no such split."""
    try:
        return _rows(make(spec, Dataset).inputs)
    # a stranger's data set may say in many ways that it has no such split
    except (InradiusError, ValueError, LookupError, OSError, ImportError):
        return set()


def _rows(inputs: Tensor) -> set[bytes]:
    """A fingerprint of each example."""
    rows = inputs.detach().float().cpu().flatten(1).contiguous().numpy()
    return {hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows}
