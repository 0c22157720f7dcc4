"""The intervals of accuracies that votes judge, on a network with noise in its forward pass.

``python benchmarks/votes.py [--seeds 20] [--count 100]`` brackets a network whose inputs get Gaussian noise, once for each seed of
torch, and asks about the perturbations found again, by a vote of 200 passes. It prints how many of the 95 % intervals contain
the accuracy by that vote, and how wide they are beside the Clopper-Pearson interval of as many images.
"""

import argparse
import tempfile

import torch
from torch import Tensor, nn

import inradius
from inradius.bracketing.voting import Votes
from inradius.report import clopper_pearson


class Noisy(nn.Module):
    """A network on inputs with noise of standard deviation ``sigma``."""

    def __init__(self, network: nn.Module, sigma: float) -> None:
        super().__init__()
        self.network, self.sigma = network, sigma

    def forward(self, x: Tensor) -> Tensor:
        """The logits of one draw, (n, C)."""
        found: Tensor = self.network(x + self.sigma * torch.randn_like(x))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--threat", default="linf(eps=0.05)")
    parser.add_argument("--attack", default="pgd(steps=5)")
    asked = parser.parse_args()
    model = Noisy(inradius.load_model("mnist_small_standard"), asked.sigma).eval()
    data = inradius.make("mnist5k").take(asked.count)
    kept, widest = {"clean": 0, "upper": 0}, 0.0
    for seed in range(asked.seeds):
        torch.manual_seed(seed)
        with tempfile.TemporaryDirectory() as folder:
            report = inradius.bracket(model, data, asked.threat, attacks=asked.attack, certifiers=(), folder=folder)
        delta = torch.zeros_like(data.inputs)
        for row, found in report.deltas.items():
            delta[row] = found
        vote = Votes(model, 200)
        clean = vote(data.inputs).argmax(1) == data.labels
        again = {"clean": clean, "upper": clean & (vote(data.inputs + delta).argmax(1) == data.labels)}
        for name, right in again.items():
            low, high = report.intervals[name]
            share = float(right.float().mean())
            plain = clopper_pearson(round(getattr(report, name) * asked.count), asked.count)
            kept[name] += low <= share <= high
            widest = max(widest, (high - low) / (plain[1] - plain[0]))
            print(f"seed {seed} {name} {getattr(report, name):.2f} [{low:.3f}, {high:.3f}], vote of 200: {share:.2f}")
    for name, count in kept.items():
        print(f"{name}: {count} of {asked.seeds} intervals contain the accuracy by a vote of 200 passes")
    print(f"the widest is {widest:.2f} times the Clopper-Pearson interval")


if __name__ == "__main__":
    main()
