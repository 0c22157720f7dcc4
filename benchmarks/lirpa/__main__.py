"""Bounds beside auto_LiRPA's on the same networks, inputs and sets: cost, memory and tightness.

    python benchmarks/lirpa --lirpa FOLDER[:FOLDER...] [--only NAME]

needs a checkout of Verified-Intelligence/auto_LiRPA, and INRADIUS_REFERENCE_DATA for the comparisons on images; the folders are
put on the path, so that what it imports (appdirs, graphviz, ninja, tqdm) can lie in one beside it (``pip install --no-deps --target
FOLDER``). One thread, process CPU time, the best of several runs that take turns, after one that is not counted. The peer's
network is built outside of the measurement; ours is the whole call of the certifier, checks of the recorded network and the
analysis of rounding included (``with building`` is the ratio of the first calls, with the building of the peer's network and the
recording of ours). Memory is the growth of the largest resident set in a fresh process, from before the network is recorded or
built, with the modules that either side loads for it. The peer's method is CROWN with its defaults: patches, bounds by intervals
first, rows for unstable neurons.
"""

import argparse
import logging
import os
import sys
import warnings
from functools import partial

import compare_patterns
import crown
import others
import refusals
import torch
from networks import CROWN
from patterns import PATTERNS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lirpa", required=True, help="folders to import auto_LiRPA and what it needs from")
    parser.add_argument("--only", default="", help="the cases whose name this is a part of; patterns for all patterns")
    parser.add_argument("--batches", type=int, nargs="+", default=(1, 8, 32))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--claim", default="real", help="real, as the peer's bounds are meant, or float")
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--instances", type=int, default=10, help="of each pattern")
    parser.add_argument(
        "--inputs", type=int, default=1, help="of each instance of a pattern; memory is that of one input"
    )
    parser.add_argument("--memory-instances", type=int, default=3, help="of each pattern, in processes of their own")
    parser.add_argument("--images", type=int, default=100, help="of alpha")
    parser.add_argument("--seconds", type=float, default=1800, help="the limit of each side on the seven-layer network")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    sys.path[:0] = options.lirpa.split(os.pathsep)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    if options.measure:
        side, name, number = options.measure
        run = compare_patterns.measure_pattern if name in PATTERNS else crown.measure_crown
        run(side, name, int(number), options.claim)
        return
    chosen = [name for name in CROWN if options.only in name]
    if chosen:
        print(crown.HEAD)
    for name in chosen:
        for batch in options.batches:
            crown.compare_crown(name, batch, options)
    chosen = [name for name in PATTERNS if options.only in name or options.only == "patterns"]
    if chosen:
        print(compare_patterns.HEAD)
    for name in chosen:
        compare_patterns.compare_pattern(name, options)
    rest = {
        "refusals": refusals.show_refusals,
        "unsound": refusals.show_unsound,
        "interval": partial(others.compare_interval, options),
        "normalize": partial(others.compare_normalize, options),
        "seven": partial(others.compare_seven, options),
        "alpha": partial(others.compare_alpha, options),
    }
    for name, compare in rest.items():
        if options.only in name:
            compare()


if __name__ == "__main__":
    main()
