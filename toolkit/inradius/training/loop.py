"""The loop of a run over its epochs; ``Defense.fit`` is the body of an epoch."""

from collections.abc import Callable, Iterator, Sequence
from time import monotonic

import torch
from torch import Tensor, nn

from inradius.data.dataset import Dataset
from inradius.models.weights import fill
from inradius.rng import derive
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import write_atomic
from inradius.stored.tensor_file import tensor_file
from inradius.training import snapshot, validation, watch
from inradius.training.actions import RollBack
from inradius.training.slots.monitor import Monitor
from inradius.training.state import RunState


def epochs(run: RunState, monitors: Sequence[Monitor]) -> Iterator[int]:
    """The numbers of the epochs still to run, from 0; after each the run is saved."""
    watch.tell(run, monitors)
    total = run.recipe.epochs
    while run.epoch < total and run.stopped is None:
        started = monotonic()
        run.progress = run.epoch / total
        torch.manual_seed(derive(run.seed, "torch", run.epoch, run.processes.rank))
        yield run.epoch
        _close_epoch(run, monotonic() - started)
        watch.tell(run, monitors)
    run.progress = 1.0
    best = "" if run.best_score is None else f", best score {run.best_score:.4f}"
    run.display(1.0, f"{run.epoch} epochs{best}")


def _close_epoch(run: RunState, seconds: float) -> None:
    means = {name: sum(values) / len(values) for name, values in run.noted.items()}
    run.history.append({"epoch": run.epoch + 1, **means, "seconds": round(seconds, 3)})
    run.noted.clear()
    asked, run.asked = run.asked, []
    watch.act(run, asked)
    run.epoch += 1
    snapshot.save(run)


def validate(
    run: RunState,
    monitors: Sequence[Monitor],
    model: nn.Module,
    threat: ThreatModel,
    right: Callable[[nn.Module, Dataset], Tensor],
) -> None:
    """Scores the model on the held-out examples, asks the monitors, and keeps the weights where they are the best.

    ``right`` tells which examples of a batch count as right, (B,). An epoch that is rolled back is never the best one: its
    score may be that of an attack which has gone blind.
    """
    judged = run.judged(model)
    run.processes.average_buffers(model)
    if judged is not model:
        run.processes.average_buffers(judged)
    score = validation.score(run, judged, right) if len(run.held_out) else None
    run.asked.extend(watch.ask(run, monitors, model, threat))
    if score is not None and not any(isinstance(action, RollBack) for action in run.asked):
        validation.keep_best(run, judged, score)


def finish(run: RunState, model: nn.Module) -> nn.Module:
    """The model with the best weights (the last ones where nothing was held out), in eval mode."""
    best = snapshot.copied(run.judged(model)) if run.best_weights is None else run.best_weights
    if run.processes.main:
        write_atomic(run.files.best, tensor_file(best))
    run.processes.wait()
    fill(model, type(model).__name__, run.files.best)
    return model.eval()
