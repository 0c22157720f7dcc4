"""Classifiers of the library transformers from a folder on disk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from inradius import InputError, UnsupportedError
from inradius_models.hf_image import ImageClassifier, normalisation
from inradius_models.hf_text import TextClassifier

_CONFIG = "config.json"
_IMAGES, _TEXTS = "ForImageClassification", "ForSequenceClassification"


def hf(folder: str) -> nn.Module:
    """An image or text classifier of the library transformers, as ``save_pretrained`` wrote it to a folder.

    An image classifier takes pixels in [0, 1], (B, C, H, W), of the size that its processor file makes, and has that file's
    normalisation inside: radii are those of pixels. A text classifier takes the embeddings of texts, (B, T, D), which its
    ``embed(texts)`` computes: radii are those of embeddings. Nothing is downloaded, and no code of the folder runs. Raises
    ``UnsupportedError`` where transformers is not installed, ``InputError`` for a folder without such a classifier.
    """
    place = Path(folder).expanduser()
    config = _read(place / _CONFIG, f"hf needs a folder that save_pretrained wrote, with its {_CONFIG}")
    kind = next((str(name) for name in config.get("architectures") or ()), "")
    if not kind.endswith((_IMAGES, _TEXTS)):
        raise InputError(
            f"{place} holds {kind or 'no architecture'}; allowed are classifiers, whose names end in {_IMAGES} or {_TEXTS}"
        )
    if "auto_map" in config:
        raise InputError(
            f"{place} needs code of its own, which is not run; allowed are classifiers whose code is in transformers, "
            "and others as file.py:factory"
        )
    library = _transformers()
    if kind.endswith(_TEXTS):
        return TextClassifier(_loaded(library.AutoModelForSequenceClassification, place), str(place))
    told = _read(
        place / "preprocessor_config.json",
        "an image classifier needs it for the normalisation; AutoImageProcessor.save_pretrained writes it",
    )
    return ImageClassifier(_loaded(library.AutoModelForImageClassification, place), *normalisation(told, place))


def _read(file: Path, needed: str) -> Mapping[str, Any]:
    if not file.is_file():
        raise InputError(f"there is no file {file}; {needed}")
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is no JSON ({error}); {needed}") from error
    if not isinstance(found, dict):
        raise InputError(f"{file} holds a {type(found).__name__}; {needed}")
    return found


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UnsupportedError(
            'hf(...) needs the package transformers, which is not installed; pip install "inradius[transformers]" brings it'
        ) from error
    return transformers


def _without_bars() -> None:
    """Ends the library's bars of progress, which would stand before a sentence or in a log."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def _loaded(auto: Any, place: Path) -> nn.Module:
    """The network with the weights of the folder. Raises ``InputError`` where they are missing, damaged or incomplete."""
    try:
        _without_bars()
        model, found = auto.from_pretrained(
            str(place),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            # torch's fused kernels have no second derivatives
            attn_implementation="eager",
            output_loading_info=True,
        )
    except Exception as error:  # the library raises many kinds; the sentence has its reason
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"the classifier in {place} cannot be loaded ({reason}); allowed are files of save_pretrained, in safetensors"
        ) from error
    missing = sorted(map(str, found["missing_keys"])) + sorted(map(str, found["mismatched_keys"]))
    if missing:
        raise InputError(
            f"the weights in {place} lack {', '.join(missing[:3])}; allowed are those of a trained classifier, with its last layer"
        )
    network: nn.Module = model.eval()
    return network
