"""The learning curves of training runs, drawn, and their best and last scores, printed."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from inradius.cli.console import is_first, say
from inradius.report.history import History, histories
from inradius.report.learning import CURVES as CURVES
from inradius.report.learning import learning_curves


def show(folders: Sequence[Path], path: Path) -> None:
    """Prints the best and the last score of each run, and writes the figure where matplotlib is installed."""
    if not is_first():
        return
    runs = [run for folder in folders for run in histories(folder)]
    for run in runs:
        _tell(run, named=len(runs) > 1)
    if find_spec("matplotlib") is None:
        say("curves         not drawn: matplotlib is not installed")
        return
    learning_curves(list(folders), path=path)
    say(f"curves         {path}")


def _tell(run: History, *, named: bool) -> None:
    end = f"run            {run.name}: " if named else "score          "
    if run.best is None or run.last is None:
        say(f"{end}nothing was held out; the last of {len(run.lines)} epochs counts")
    else:
        gap = run.best["score"] - run.last["score"]
        say(
            f"{end}best {run.best['score']:.4f} after epoch {int(run.best['epoch'])}, last {run.last['score']:.4f} after epoch "
            f"{int(run.last['epoch'])}, gap {gap:.4f}"
        )
    if run.rolled_back:
        say(f"rolled back    epoch {', '.join(str(int(epoch)) for epoch in run.rolled_back)}")
    result = run.record.get("result", {})
    for action in result.get("actions", []):
        if action["action"] == "Set":
            say(
                f"changed        {action['name']} times {action['factor']:g} after epoch {action['epoch']}: {action['reason']}"
            )
        elif action.get("go_on"):
            say(f"went on        from before epoch {action['epoch']}: {action['reason']}")
    if reason := result.get("stopped"):
        say(f"stopped        {reason}")
