"""The files of a training run."""

from pathlib import Path


class RunFiles:
    """The paths of a run's files. ``state.pt`` holds the whole run; the others can be written again from it."""

    def __init__(self, folder: Path) -> None:
        self.state, self.metrics = folder / "state.pt", folder / "metrics.jsonl"
        self.last, self.best, self.ema = (folder / f"{name}.safetensors" for name in ("last", "best", "ema"))

    @property
    def names(self) -> list[str]:
        """The names of all files."""
        return [path.name for path in (self.state, self.metrics, self.last, self.best, self.ema)]
