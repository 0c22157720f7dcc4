"""The snapshot of a run in its folder: it is written after each epoch, and a run goes on from it."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from inradius.errors import InputError
from inradius.stored.checksum import sealed_json
from inradius.stored.files import write_atomic
from inradius.stored.listing import note
from inradius.stored.tensor_file import tensor_file
from inradius.training.checkpoint import load_state, save_state
from inradius.training.state import RunState


def copied(model: nn.Module) -> dict[str, Tensor]:
    """The model's weights as they are now, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def save(run: RunState) -> None:
    """Writes the state, and then the files that can be written again from it.

    So a run that is killed anywhere between two files goes on from its state, and writes the others again.
    """
    state = _state(run)
    if run.processes.main:
        save_state(state, run.files.state)
        for path, content in _views(run).items():
            write_atomic(path, content)
    run.processes.wait()


def resume(run: RunState, *, keep_start: bool) -> None:
    """Goes on where the run in this folder was stopped; a new one stays as it is.

    ``keep_start`` writes the state of a new run, to which its first epoch can be rolled back.
    """
    if run.processes.main:
        note(run.folder, *run.files.names)
    state = load_state(run.files.state, run.device)
    # nobody writes before everybody has read
    run.processes.wait()
    if state is None:
        state = _state(run) if keep_start else None
        if state is not None and run.processes.main:
            save_state(state, run.files.state)
        return
    _restore(run, state)
    run.epoch, run.history = state["epoch"], state["history"]
    run.stopped, run.factors, run.actions = state["stopped"], state["factors"], state["actions"]
    if run.epoch and run.processes.main:
        for path, content in _views(run).items():
            if not path.exists() or path.read_bytes() != content:
                write_atomic(path, content)
    run.processes.wait()


def roll_back(run: RunState) -> None:
    """Puts weights, optimiser and memories back to where they were before this epoch; epochs and their record count on."""
    run.processes.wait()
    state = load_state(run.files.state, run.device)
    run.processes.wait()
    if state is None:
        raise InputError(
            f"{str(run.files.state)!r} is gone, and an epoch cannot be rolled back without it; train again"
        )
    _restore(run, state)


def _views(run: RunState) -> dict[Path, bytes]:
    """The content of each file but the state."""
    files = run.files
    views = {files.last: tensor_file(run.model.state_dict()), files.metrics: b"".join(map(sealed_json, run.history))}
    if run.best_weights is not None:
        views[files.best] = tensor_file(run.best_weights)
    if run.averaged is not None:
        views[files.ema] = tensor_file(run.averaged.state_dict())
    return views


def _state(run: RunState) -> dict[str, Any]:
    return {
        "epoch": run.epoch,
        "history": run.history,
        "stopped": run.stopped,
        "factors": run.factors,
        "actions": run.actions,
        "best": {"score": run.best_score, "epoch": run.best_epoch, "weights": run.best_weights},
        "memories": run.memories.state(run.processes),
        "model": run.model.state_dict(),
        "optimisation": run.optimisation.state_dict(),
    }


def _restore(run: RunState, state: dict[str, Any]) -> None:
    best = state["best"]
    run.best_score, run.best_epoch = best["score"], best["epoch"]
    run.best_weights = (
        None if best["weights"] is None else {name: value.cpu() for name, value in best["weights"].items()}
    )
    run.memories.load(state["memories"], run.processes)
    run.model.load_state_dict(state["model"])
    run.optimisation.load_state_dict(state["optimisation"])
