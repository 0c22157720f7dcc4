"""The two sides as functions that return lower bounds, and what they take in time and in memory."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from images import MEAN, STD, normalized
from torch import Tensor, nn

import inradius
from inradius import Certifier, Normalize, Property, ThreatModel

# what took more seconds than this is not repeated
ENOUGH = 20.0
Run = Callable[[], Tensor]


def on_pixels(net: nn.Module) -> nn.Module:
    return nn.Sequential(Normalize(MEAN, STD), net).eval()


def ours(net: nn.Module, x: Tensor, y: Tensor, threat: ThreatModel, spec: str, claim: str) -> Run:
    """The lower bounds of the margins by a certifier of this project."""
    certifier = inradius.make(spec, Certifier)
    return lambda: certifier(net, x, y, threat, claim=claim).lower.double()


def bounded(net: nn.Module, x: Tensor, options: dict[str, object] | None = None) -> nn.Module:
    """The peer's form of a network for inputs like x."""
    from auto_LiRPA import BoundedModule

    return BoundedModule(net, x, bound_opts=options or {}, device="cpu")


def theirs(
    peer: nn.Module, x: Tensor, y: Tensor, box: tuple[Tensor, Tensor], method: str, *, fixed: bool = False
) -> Run:
    """The lower bounds of the margins by the peer over a box around x.

    ``fixed`` keeps the bounds of inner layers that its CROWN has.
    """
    from auto_LiRPA import BoundedTensor, PerturbationLpNorm

    given = BoundedTensor(x, PerturbationLpNorm(norm=float("inf"), x_L=box[0], x_U=box[1]))
    rows = Property.margins(y, 10, dtype=x.dtype).weights

    def run() -> Tensor:
        inner = None
        if fixed:
            with torch.no_grad():
                peer.compute_bounds(x=(given,), C=rows, method="CROWN", bound_upper=False)
            before = [node.inputs[0] for node in peer.relus]
            inner = {node.name: (node.lower.detach(), node.upper.detach()) for node in before}
        with torch.set_grad_enabled("ptimized" in method):
            lower = peer.compute_bounds(x=(given,), C=rows, method=method, bound_upper=False, interm_bounds=inner)[0]
        return lower.detach().double()

    return run


def pixels_within(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The ends of the ball of a radius around images within [0, 1], normalised."""
    return normalized((x - eps).clamp(0, 1)), normalized((x + eps).clamp(0, 1))


def best_of(runs: dict[str, Run], repeats: int) -> tuple[dict[str, float], dict[str, Tensor]]:
    """The least CPU time of each, and what it returned; they take turns, and the first turn does not count."""
    values = {name: run() for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            if sum(seconds[name]) < ENOUGH:
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
    return {name: min(found) for name, found in seconds.items()}, values


def measured(options: argparse.Namespace, *what: str, limit: float | None = None) -> list[str]:
    """The words that a fresh process prints behind ``grown``: the MB that it grew by, seconds, and the lowest bound.

    Empty where it fails. ``what`` names the side and the case. Raises ``subprocess.TimeoutExpired`` behind ``limit`` seconds.
    """
    folder = str(Path(__file__).parent)
    command = [sys.executable, folder, "--lirpa", options.lirpa, "--claim", options.claim, "--measure", *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    found = [line for line in done.stdout.splitlines() if line.startswith("grown")]
    if not found:
        print(os.linesep.join(done.stderr.splitlines()[-3:]), file=sys.stderr)
    return found[0].split()[1:] if found else []


def grown(options: argparse.Namespace, *what: str) -> float:
    """How many MB a fresh process grows by to bound a case, NaN where it fails."""
    found = measured(options, *what)
    return float(found[0]) if found else float("nan")


def report_growth(run: Callable[[], Tensor]) -> None:
    """Runs, and prints by how much the process grew, the seconds of the run, and the lowest bound."""
    before, start = peak(), time.process_time()
    lower = run()
    print(f"grown {peak() - before:.0f} {time.process_time() - start:.1f} {float(lower.min()):.4f}", flush=True)


def peak() -> float:
    """The largest resident set so far, in MB; not getrusage's, which begins with that of the parent."""
    status = Path("/proc/self/status").read_text()
    return float(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
