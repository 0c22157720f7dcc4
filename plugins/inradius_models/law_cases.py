"""The cases by which the laws check these networks, with tiny files in a folder that lasts as long as the process."""

import atexit
import functools
import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_SIDE = 8


def model_cases() -> Mapping[str, Mapping[str, Any]]:
    """Specs of each network with the shape of one input."""
    folder, images = _files(), {"shape": (3, _SIDE, _SIDE), "examples": 4}
    network = "mlp(4, 5, 3)"
    return {
        f"hf({str(folder / 'hf')!r})": images,
        # one of timm's smallest
        "timm('test_resnet', classes=3)": {"shape": (3, 32, 32), "examples": 2},
        f"torchscript({str(folder / 'program.pt')!r})": {"shape": (4,)},
        f"normalized({network}, mean=0.5, std=0.25)": {"shape": (4,)},
        "normalized(mlp(12, 3), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))": {"shape": (3, 2, 2)},
        f"selected('{folder / 'several.py'}:network', output='second')": {"shape": (4,)},
        f"selected('{folder / 'several.py'}:pair', output=1)": {"shape": (4,)},
    }


@functools.cache
def _files() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="inradius-law-cases-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "several.py").write_text(_SEVERAL, "utf-8")
    _write_program(folder / "program.pt")
    _write_classifier(folder / "hf")
    return folder


_SEVERAL = """
from torch import nn

class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return {"first": self.first(x), "second": self.second(x)}

class Pair(Several):
    def forward(self, x):
        return self.first(x), self.second(x)

def network():
    return Several()

def pair():
    return Pair()
"""


class _Program(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(x).relu()
        return found


def _write_program(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises against the format
        torch.jit.save(torch.jit.trace(_Program().eval(), torch.zeros(2, 4)), str(file))  # type: ignore[no-untyped-call]


def _write_classifier(folder: Path) -> None:
    """A vision transformer of two layers; without the library its description alone, of which ``hf`` says what is missing."""
    folder.mkdir()
    told = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": _SIDE, "width": _SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(told), "utf-8")
    try:
        from transformers import ViTConfig, ViTForImageClassification
        from transformers.utils import logging
    except ImportError:
        (folder / "config.json").write_text(json.dumps({"architectures": ["ViTForImageClassification"]}), "utf-8")
        return
    logging.disable_progress_bar()
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    config = ViTConfig(**sizes, image_size=_SIDE, patch_size=4, num_labels=3)
    ViTForImageClassification(config).eval().save_pretrained(folder)
