"""Complete verification beside alpha-beta-CROWN: answers, CPU seconds and domains a second on the same instances.

    INRADIUS_REFERENCE_DATA=FOLDER python benchmarks/abcrown --peer FOLDER [--python PATH] [acasxu] [mnistfc] [oval]

needs a checkout of Verified-Intelligence/alpha-beta-CROWN with its auto_LiRPA, and an interpreter (``--python``) that imports what
it needs: torch, onnx, onnxruntime, sortedcontainers, psutil, pandas, pyyaml, appdirs, graphviz, tqdm. Gurobi, CPLEX, onnx2pytorch
and torchvision are not needed. Each side answers all instances of a family in one process with one thread. CPU time begins after
imports, the reading of both files and the building of the network as torch modules, and ends with the answer: attack, bounds,
search and, on our side, the replay of a counterexample by onnxruntime are counted. The first instance is answered once before,
uncounted. Limits (``--seconds``) count CPU time as well. A domain is what either side says that it has bounded.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from instances import FAMILIES, Instance, instances
from settings import settings

HERE = Path(__file__).parent
KNOWN = {"safe": "unsat", "safe-incomplete": "unsat", "unsafe-pgd": "sat", "unsafe-bab": "sat"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", help=f"of {', '.join(FAMILIES)}; by default all")
    parser.add_argument("--peer", type=Path, required=True, help="the checkout of alpha-beta-CROWN")
    parser.add_argument("--python", default=sys.executable, help="the interpreter for the peer")
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU seconds of each instance (%(default)s)")
    parser.add_argument("--images", type=int, nargs=2, default=(0, 20), help="the numbers of the images of oval")
    parser.add_argument("--eps", type=float, nargs="+", default=(5.0, 6.0), help="radii of oval, in units of 1/255")
    return parser.parse_args()


def main() -> None:
    """Prints a line for each instance and the totals of each family."""
    options = arguments()
    for family in options.families or FAMILIES:
        with tempfile.TemporaryDirectory() as place:
            found = instances(family, Path(place), range(*options.images), list(options.eps))
            file = Path(place) / "settings.json"
            file.write_text(json.dumps(settings(family, options.seconds)))
            theirs = answers(
                [options.python, str(HERE / "theirs.py"), str(options.peer.resolve()), str(file)], found, place
            )
            ours = answers([sys.executable, str(HERE / "ours.py"), str(options.seconds)], found, place)
            compare(family, found, theirs, ours)


def answers(command: list[str], chosen: list[Instance], place: str) -> list[dict]:
    """The answers of one side; the first instance goes first twice."""
    rows = "".join(f"{each.network.resolve()} {each.prop.resolve()}\n" for each in [chosen[0], *chosen])
    one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    run = subprocess.run(
        command, input=rows, text=True, stdout=subprocess.PIPE, env=os.environ | one, cwd=place, check=True
    )
    found = [json.loads(line) for line in run.stdout.splitlines()][1:]
    for each in found:
        if "error" in each:
            print(each["error"], file=sys.stderr)
    return [{**each, "status": KNOWN.get(each["status"], each["status"])} for each in found]


def compare(family: str, chosen: list[Instance], theirs: list[dict], ours: list[dict]) -> None:
    print(f"\n{family:44} {'theirs':>8} {'CPU s':>7} {'domains':>8}   {'ours':>8} {'CPU s':>7} {'domains':>8}")
    for instance, their, our in zip(chosen, theirs, ours, strict=True):
        sides = "   ".join(f"{side['status']:>8} {side['seconds']:7.2f} {side['domains']:8}" for side in (their, our))
        against = "  CONTRADICTION" if {their["status"], our["status"]} == {"sat", "unsat"} else ""
        print(f"{instance.name:44} {sides}{against}", flush=True)
    pairs = [
        pair for pair in zip(theirs, ours, strict=True) if all(side["status"] in ("sat", "unsat") for side in pair)
    ]
    spent = [sum(pair[side]["seconds"] for pair in pairs) for side in (0, 1)]
    print(f"decided: theirs {decided(theirs)}, ours {decided(ours)} of {len(chosen)}; both {len(pairs)}")
    print(f"CPU seconds where both decide: theirs {spent[0]:.1f}, ours {spent[1]:.1f}, ratio {spent[1] / spent[0]:.2f}")
    print(
        f"domains a second where there are at least 100: theirs {rate(theirs):.0f}, ours {rate(ours):.0f}", flush=True
    )


def decided(answers: list[dict]) -> int:
    return sum(each["status"] in ("sat", "unsat") for each in answers)


def rate(answers: list[dict]) -> float:
    """Domains a second over the instances with at least 100 of them."""
    many = [each for each in answers if each["domains"] >= 100]
    return sum(each["domains"] for each in many) / sum(each["seconds"] for each in many) if many else float("nan")


if __name__ == "__main__":
    main()
