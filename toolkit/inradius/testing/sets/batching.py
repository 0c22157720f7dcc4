"""Laws of batches: batch mates change nothing, and neither does a radius per example."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius.sets.oracles import Oracles
from inradius.sets.threat_model import ThreatModel
from inradius.testing.claims import close, require
from inradius.testing.strategies import Case

# name -> the oracle's answer on a part of the case
ORACLES: dict[str, Callable[[Oracles, Case], Tensor]] = {
    "project": lambda threat, case: threat.project(case.delta, case.x),
    "linear_max": lambda threat, case: threat.linear_max(case.c[:, 0], case.x),
    "gauge": lambda threat, case: threat.gauge(case.delta, case.x),
    "violation": lambda threat, case: threat.violation(case.delta, case.x),
    "support": lambda threat, case: threat.support(case.c, case.x),
    "support_bound": lambda threat, case: threat.support_bound(case.c, case.x),
    "hull": lambda threat, case: torch.stack(threat.hull(case.x), dim=1),
    "steepest": lambda threat, case: threat.steepest(
        case.c[:, 0], case.x, torch.zeros_like(case.x), rng=case.streams()
    ),
}


def ignores_batch_mates(threat: ThreatModel, case: Case) -> None:
    """Every oracle answers for an example as it does for that example alone."""
    for name, oracle in ORACLES.items():
        together = oracle(threat, case)
        alone = torch.cat([oracle(threat, case.select(row)) for row in range(len(case.x))])
        _agree(name, together, alone, case)


def per_example_agrees_with_scaled(threat: ThreatModel, case: Case) -> None:
    """per_example(factors) answers for each example as the set scaled by that example's factor does."""
    each = threat.per_example(case.factors)
    for name, oracle in ORACLES.items():
        together = oracle(each, case)
        rows = [oracle(threat.scaled(float(f)), case.select(row)) for row, f in enumerate(case.factors)]
        picked = [oracle(each.select(torch.tensor([row])), case.select(row)) for row in range(len(case.x))]
        _agree(f"{name} with a radius per example", together, torch.cat(rows), case)
        _agree(f"{name} of a selected example", together, torch.cat(picked), case)


def results_live_where_inputs_live(threat: ThreatModel, case: Case) -> None:
    """Every oracle answers in its inputs' dtype and on their device, with the shape that its docstring says."""
    shapes = {"gauge": (), "violation": (), "support": (2,), "support_bound": (2,), "hull": (2, *case.x.shape[1:])}
    for dtype in (torch.float32, torch.float64):
        for name, oracle in ORACLES.items():
            answer = oracle(threat, case.to(dtype))
            shape = (len(case.x), *shapes.get(name, tuple(case.x.shape[1:])))
            assert answer.dtype == dtype, f"{name} answers in {answer.dtype} for inputs in {dtype}"
            assert answer.device == case.x.device, f"{name} answers on {answer.device} for inputs on {case.x.device}"
            assert answer.shape == shape, f"{name} answers with shape {tuple(answer.shape)}; it must be {shape}"
            assert not bool(answer.isnan().any()), f"{name} answers with NaN in {dtype}"


def _agree(name: str, together: Tensor, alone: Tensor, case: Case) -> None:
    size = together.abs().nan_to_num(posinf=0).reshape(len(together), -1).amax(1).view(-1, *(1,) * (together.ndim - 1))
    require(close(together, alone, case.tol * size), f"{name} agrees", together=together, alone=alone)
