"""The worst class under attack: adversarial training on every example alike, and with CFOL's choice of classes.

    python benchmarks/defenses/worst_class.py --out runs/worst-class

scikit-learn's digits, ℓ∞ 0.15, five seeds; accuracy under PGD-20 with 5 restarts on the test split, of all and of the worst class.
"""

import argparse
from pathlib import Path

from runs import accuracy, fit, one_thread, table, worst_class

import inradius
from inradius import Attack, Dataset, ThreatModel

PGD = "adversarial(pgd(steps=10, step=0.25, keep_maximising=True))"
METHODS: dict[str, dict[str, object]] = {
    "pgd-at": {"defense": PGD},
    "pgd-at + cfol": {"defense": PGD, "sampler": "cfol(eta=0.0002)"},
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--out", type=Path, required=True, help="the folder of the runs, which go on where they stopped"
    )
    arguments.add_argument("--epochs", type=int, default=40)
    arguments.add_argument("--seeds", type=int, default=5)
    options = arguments.parse_args()
    one_thread()
    train, test = inradius.make("digits(split='train')", Dataset), inradius.make("digits", Dataset)
    threat = inradius.make("linf(eps=0.15)", ThreatModel)
    attack = inradius.make("pgd(steps=20, step=0.125, restarts=5)", Attack)
    rows: dict[str, dict[str, list[float]]] = {}
    for name, method in METHODS.items():
        row = rows.setdefault(name, {"clean": [], "robust": [], "worst class": [], "seconds": []})
        for seed in range(options.seeds):
            folder = options.out / f"{name.replace(' ', '')}-{seed}"
            recipe = {"epochs": options.epochs, "lr": 2e-3, "batch_size": 100, "validation": 0.0, "seed": seed}
            model, seconds = fit(folder, method, "mlp(64, 128, 128, 10)", train, str(threat), **recipe)
            row["clean"].append(float((model(test.inputs).argmax(1) == test.labels).double().mean()))
            row["robust"].append(accuracy(model, test, threat, attack))
            row["worst class"].append(worst_class(model, test, threat, attack)[0])
            row["seconds"].append(seconds)
        table(rows, options.out / "worst_class.json")


if __name__ == "__main__":
    main()
