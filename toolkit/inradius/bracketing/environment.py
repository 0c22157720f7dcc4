"""What a run ran on."""

import platform
from importlib.metadata import entry_points

import torch

from inradius._version import __version__
from inradius.components.hookimpl import NAMESPACE


def environment(device: torch.device) -> dict[str, object]:
    """Versions, machine, threads and device, as plain values; plugins are listed, not loaded."""
    found = [entry.dist for entry in entry_points(group=NAMESPACE) if entry.dist]
    return {
        "inradius": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "plugins": {dist.name: dist.version for dist in sorted(found, key=lambda dist: dist.name)},
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "device": str(device) if device.type != "cuda" else f"{device} ({torch.cuda.get_device_name(device)})",
    }
