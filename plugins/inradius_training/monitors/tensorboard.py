"""The numbers of a run for TensorBoard."""

from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
from torch import nn

from inradius import RunState, ThreatModel, UnsupportedError
from inradius.stored.files import write_atomic, writing
from inradius.training.slots import Action, Monitor


@attrs.frozen(kw_only=True)
class Tensorboard(Monitor):
    """Writes each epoch's numbers for TensorBoard: ``tensorboard --logdir FOLDER/monitors/tensorboard``.

    Each epoch has its own file, written once, so that a resumed run repeats nothing. Needs the extra ``tensorboard``.
    """

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        return []

    def recorded(self, run: RunState) -> None:
        """Writes the epochs that are not written yet; raises ``UnsupportedError`` where tensorboard is not installed."""
        if find_spec("tensorboard") is None:
            raise UnsupportedError(
                f'{self} needs the package tensorboard, which is not installed; pip install "inradius[tensorboard]" brings it'
            )
        if run.processes.main:
            for line in run.history:
                # readers take the files of a folder in the order of their names
                path = run.own(f"monitors/tensorboard/events.out.tfevents.{int(line['epoch']):06d}")
                if not path.exists():
                    _write(line, path)


def _write(line: dict[str, float], path: Path) -> None:
    """Writes one epoch's numbers as a file that is complete or absent."""
    from accelerate.tracking import TensorBoardTracker

    # written in another folder first, because TensorBoard would show a file that is half written
    with writing(path), TemporaryDirectory() as temporary:
        tracker = TensorBoardTracker("run", temporary)
        tracker.start()
        tracker.log({name: float(value) for name, value in line.items() if name != "epoch"}, step=int(line["epoch"]))
        tracker.finish()
        (written,) = Path(temporary, "run").iterdir()
        write_atomic(path, written.read_bytes())
