"""Methods beside adversarial training at an equal budget, under a suite that none of them trained against.

    python benchmarks/defenses/equal_budget.py --out runs/equal-budget

scikit-learn's digits, a network of three layers, ℓ∞ 0.15, as many epochs and attack steps for each, three seeds; 200 images
of the test split under `inradius_suite`, on the weights that held-out digits chose. Outcomes are reported, none is required.
"""

import argparse
from pathlib import Path

from runs import accuracy, fit, one_thread, table

import inradius
from inradius import Attack, Dataset, ThreatModel

PGD = "pgd(steps=10, step=0.25, keep_maximising=True)"
METHODS: dict[str, dict[str, object]] = {
    "standard": {"defense": "standard()"},
    "pgd-at": {"defense": f"adversarial({PGD})"},
    "pgd-at + awp": {"defense": f"adversarial({PGD})", "update": "awp()"},
    "trades": {"defense": "trades()"},
    "trades + awp": {"defense": "trades()", "update": "awp(gamma=0.005)"},
    "mart": {"defense": "mart()"},
    "score": {"defense": "score()"},
    "fait": {"defense": "fait()"},
    "mer": {"defense": "mer()"},
    "fait_mer": {"defense": "fait_mer()"},
    "beta_at": {"defense": "beta_at()"},
    "sbeta_at": {"defense": "sbeta_at()"},
    "fat": {"defense": "fat()"},
    "gairat": {"defense": "gairat()"},
    "free": {"defense": "free()"},
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--out", type=Path, required=True, help="the folder of the runs, which go on where they stopped"
    )
    arguments.add_argument("--epochs", type=int, default=30)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    options = arguments.parse_args()
    one_thread()
    train, test = inradius.make("digits(split='train')", Dataset), inradius.make("digits", Dataset).take(200)
    threat, suite = inradius.make("linf(eps=0.15)", ThreatModel), inradius.make("inradius_suite()", Attack)
    rows: dict[str, dict[str, list[float]]] = {}
    for name in options.methods:
        row = rows.setdefault(name, {"clean": [], "suite": [], "best - last": [], "seconds": []})
        for seed in range(options.seeds):
            folder = options.out / f"{name.replace(' ', '')}-{seed}"
            recipe = {"epochs": options.epochs, "lr": 2e-3, "batch_size": 100, "validation": 0.2, "seed": seed}
            model, seconds = fit(folder, METHODS[name], "mlp(64, 128, 128, 10)", train, str(threat), **recipe)
            best = accuracy(model, test, threat, suite)
            inradius.load_weights(model, folder / "last.safetensors")
            row["clean"].append(float((model(test.inputs).argmax(1) == test.labels).double().mean()))
            row["suite"].append(best)
            row["best - last"].append(best - accuracy(model, test, threat, suite))
            row["seconds"].append(seconds)
        table(rows, options.out / "equal_budget.json")


if __name__ == "__main__":
    main()
