"""Digits that attacks break, that are left when the answer is rounded to 8 bits, and that ``on_grid`` breaks.

    python benchmarks/stored_images.py

A rounded answer counts where it still lies in the set and is misclassified. The network is ``mnist_small_standard``, the digits
are the first 100 of ``mnist5k``.
"""

import torch

import inradius
from inradius import ThreatModel

CASES = (
    ("l2(eps=1.2)", "pgd(steps=20)"),
    ("linf(eps=0.1)", "pgd(steps=20)"),
    ("l1(eps=8)", "apgd(steps=20)"),
    ("l2(eps=1.2)", "ddn(steps=50)"),
)


def main() -> None:
    torch.set_num_threads(1)
    model, data = inradius.load_model("mnist_small_standard"), inradius.make("mnist5k").take(100)
    x, y = data.inputs, data.labels
    print(f"{'set':14} {'attack':16} {'broken':>6} {'rounded':>7} {'on_grid':>7}")
    for spec, attack in CASES:
        threat = inradius.make(spec, ThreatModel)
        plain = inradius.attack(model, x, y, threat, attack)
        rounded = ((x + plain.delta) * 255).round() / 255 - x
        kept = threat.contains(rounded, x) & (model(x + rounded).argmax(1) != y)
        found = inradius.attack(model, x, y, threat, attack, grid=8)
        print(f"{spec:14} {attack:16} {int(plain.success.sum()):6} {int(kept.sum()):7} {int(found.success.sum()):7}")


if __name__ == "__main__":
    main()
