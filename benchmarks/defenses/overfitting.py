"""Robust overfitting: how much is lost from the best to the last epoch, by attack of the training.

    python benchmarks/defenses/overfitting.py --out runs/overfitting

200 digits to train on, 200 epochs at one rate, ℓ∞ 0.2, three seeds; the gap is between the best and the last accuracy on 300
held-out digits under PGD-20.
"""

import argparse
from pathlib import Path

from runs import UnderAttack, fit, history, one_thread, table

import inradius
from inradius import Attack, Dataset

METHODS: dict[str, dict[str, object]] = {
    "pgd-at": {"defense": "adversarial(pgd(steps=5, keep_maximising=True))"},
    "beta_at": {"defense": "beta_at(pgd(steps=5, objective=logit_difference(), keep_maximising=True))"},
    "trades": {"defense": "trades(pgd(steps=5, noise=0.001, objective=kl(), keep_maximising=True))"},
    "mart": {"defense": "mart(pgd(steps=5, noise=0.001, keep_maximising=True))"},
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--out", type=Path, required=True, help="the folder of the runs, which go on where they stopped"
    )
    arguments.add_argument("--epochs", type=int, default=200)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    options = arguments.parse_args()
    one_thread()
    watch = UnderAttack(attacks=(inradius.make("pgd(steps=20, step=0.125)", Attack),))
    data = inradius.make("digits(split='train')", Dataset)
    rows: dict[str, dict[str, list[float]]] = {}
    for name in options.methods:
        row = rows.setdefault(name, {"best": [], "last": [], "gap": [], "seconds": []})
        for seed in range(options.seeds):
            folder = options.out / f"{name}-{seed}"
            recipe = {
                "epochs": options.epochs,
                "lr": 5e-3,
                "schedule": "constant()",
                "batch_size": 50,
                "validation": data.select(slice(200, 500)),
                "monitors": [watch],
                "seed": seed,
            }
            _, seconds = fit(folder, METHODS[name], "mlp(64, 256, 256, 10)", data.take(200), "linf(eps=0.2)", **recipe)
            robust = [epoch["pgd"] for epoch in history(folder)]
            row["best"].append(max(robust))
            row["last"].append(robust[-1])
            row["gap"].append(max(robust) - robust[-1])
            row["seconds"].append(seconds)
        table(rows, options.out / "overfitting.json")


if __name__ == "__main__":
    main()
