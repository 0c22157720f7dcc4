"""``crown`` beside CROWN on ten random instances of each pattern: CPU time, memory, and how often which bound is higher."""

import argparse
import time

import torch
from patterns import PATTERNS, Pattern, for_peer
from sides import best_of, bounded, grown, ours, report_growth, theirs
from torch import Tensor, nn

from inradius import Property

# bounds whose distances from the margins at x differ by a smaller share are equal
SAME = 1e-3

HEAD = (
    f"{'pattern':14} {'eps':>5} {'n':>3}  {'theirs s':>9} {'ours s':>9} {'ratio':>6}   {'with building':>13}   "
    f"{'their MB':>8} {'our MB':>7} {'ratio':>6}   {'not looser':>10} {'gap ratio':>9} {'from':>6} {'to':>6}"
)


def peer_run(pattern: Pattern, net: nn.Module, x: Tensor, y: Tensor):
    """The peer's bounds of an instance, with the peer's network built once."""
    return theirs(bounded(for_peer(net), x), x, y, pattern.box(x), "CROWN")


def compare_pattern(name: str, options: argparse.Namespace) -> None:
    """A line on one pattern. A gap is the mean distance of the bounds from the margins at x; its ratio is ours to theirs."""
    pattern = PATTERNS[name]
    seconds, firsts = {"theirs": 0.0, "ours": 0.0}, {"theirs": 0.0, "ours": 0.0}
    gaps = []
    for seed in range(options.instances):
        net, x = pattern.instance(seed, options.inputs)
        y = net(x).argmax(1)
        start = time.process_time()
        runs = {"theirs": peer_run(pattern, net, x, y)}
        runs["theirs"]()
        middle = time.process_time()
        runs["ours"] = ours(net, x, y, pattern.threat, "crown()", options.claim)
        runs["ours"]()
        first = {"theirs": middle - start, "ours": time.process_time() - middle}
        spent, lower = best_of(runs, options.repeats)
        clean = torch.einsum("bkn,bn->bk", Property.margins(y, 10, dtype=x.dtype).weights, net(x)).double()
        gaps.append(float((clean - lower["ours"]).mean() / (clean - lower["theirs"]).mean()))
        for side in seconds:
            seconds[side] += spent[side]
            firsts[side] += first[side]
    count = options.memory_instances if options.memory else 0
    sizes = [
        sum(grown(options, side, name, str(seed)) for seed in range(count)) / max(count, 1)
        for side in ("theirs", "ours")
    ]
    fine = sum(gap <= 1 + SAME for gap in gaps)
    n = options.instances
    print(
        f"{name:14} {pattern.eps:5.2f} {n:3}  {seconds['theirs'] / n:9.4f} {seconds['ours'] / n:9.4f} "
        f"{seconds['ours'] / seconds['theirs']:6.2f}   {firsts['ours'] / firsts['theirs']:13.2f}   "
        f"{sizes[0]:8.0f} {sizes[1]:7.0f} {sizes[1] / sizes[0] if sizes[0] else float('nan'):6.2f}   "
        f"{fine:4} of {n:2} {sum(gaps) / n:10.3f} {min(gaps):6.3f} {max(gaps):6.3f}",
        flush=True,
    )


def measure_pattern(side: str, name: str, seed: int, claim: str) -> None:
    """Prints by how much the process grows to bound one instance."""
    pattern = PATTERNS[name]
    net, x = pattern.instance(seed)
    y = net(x).argmax(1)
    if side == "ours":
        report_growth(lambda: ours(net, x, y, pattern.threat, "crown()", claim)())
    else:
        report_growth(lambda: peer_run(pattern, net, x, y)())
