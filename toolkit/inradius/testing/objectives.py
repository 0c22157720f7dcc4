"""Laws of objectives, one function each; ``LAWS`` lists them all."""

import attrs
import hypothesis.strategies as st
import torch
from torch import Tensor

from inradius.attacks.objective import Objective
from inradius.testing.claims import close, require
from inradius.testing.components import spec_round_trip
from inradius.testing.strategies import perturbations


@attrs.frozen(eq=False)
class Scores:
    """A case for the laws of objectives: logits (B, C), labels (B,) and goals (B,)."""

    logits: Tensor
    y: Tensor
    goal: Tensor
    tol: float


def scores(classes: int = 5, *, batch: int = 3, tolerance: float = 1e-9) -> st.SearchStrategy[Scores]:
    """Logits of every size, with ties, with labels and goals."""
    label = st.lists(st.integers(0, classes - 1), min_size=batch, max_size=batch).map(torch.tensor)
    logits = perturbations((classes,), batch=batch).map(lambda z: z.clamp(-1e4, 1e4))
    return st.builds(Scores, logits, label, label, st.just(tolerance))


def one_score_per_example(objective: Objective, case: Scores) -> None:
    """The score is one finite number per example, (B,), in the logits' dtype, with and without goals."""
    for logits in (case.logits, case.logits.float()):
        for score in (objective(logits, case.y, case.goal), *_untargeted(objective, logits, case.y)):
            assert score.shape == case.y.shape, f"the score has the shape {tuple(score.shape)}; it must be (B,)"
            assert score.dtype == logits.dtype, f"the score is in {score.dtype} for logits in {logits.dtype}"
            require(score.isfinite(), "the score is finite", score=score, logits=logits)


def examples_are_scored_alone(objective: Objective, case: Scores) -> None:
    """An example's score does not depend on its batch mates."""
    together = objective(case.logits, case.y, case.goal)
    rows = [slice(row, row + 1) for row in range(len(case.y))]
    alone = torch.cat([objective(case.logits[row], case.y[row], case.goal[row]) for row in rows])
    slack = case.tol * (1 + together.abs())
    require(close(together, alone, slack), "an example has the same score alone", together=together, alone=alone)


def sure_targets_are_labels(objective: Objective, case: Scores) -> None:
    """Targets with all of their weight on one class have the score of that class; mixed targets have finite scores."""
    plain = _untargeted(objective, case.logits, case.y)
    if not plain:
        return
    sure = torch.nn.functional.one_hot(case.y, case.logits.shape[1]).to(case.logits)
    found = objective.score(case.logits, case.y, targets=sure)
    require(
        close(found, plain[0], case.tol * (1 + plain[0].abs())),
        "sure targets score as the label",
        found=found,
        label=plain[0],
    )
    mixed = (sure + sure.roll(1, dims=1)) / 2
    require(objective.score(case.logits, case.y, targets=mixed).isfinite(), "mixed targets score finite", targets=mixed)


def gradients_are_finite(objective: Objective, case: Scores) -> None:
    """The gradient of the score is finite wherever the logits are, also at ties."""
    for logits in (case.logits.clone(), case.logits.float()):
        score = objective(logits.requires_grad_(), case.y, case.goal)
        (gradient,) = torch.autograd.grad(score.sum(), logits)
        require(gradient.isfinite(), "the gradient is finite", gradient=gradient, logits=logits.detach())


def _untargeted(objective: Objective, logits: Tensor, y: Tensor) -> list[Tensor]:
    # a targeted objective has no score without a goal
    return [] if objective.spec_name() == "targeted" else [objective(logits, y)]


LAWS = (
    spec_round_trip,
    one_score_per_example,
    examples_are_scored_alone,
    sure_targets_are_labels,
    gradients_are_finite,
)
