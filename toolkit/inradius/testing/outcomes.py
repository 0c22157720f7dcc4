"""Laws of outcomes, one function each; ``LAWS`` lists them all."""

from collections.abc import Callable
from typing import Any

import attrs
import hypothesis.strategies as st
import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.certifiers.certifier import Certifier
from inradius.components.registry import make
from inradius.errors import UnsupportedError
from inradius.outcomes.outcome import Outcome, flat
from inradius.outcomes.property import Property
from inradius.outcomes.user import FunctionOutcome
from inradius.rng import ExampleRNG
from inradius.sets.threat_model import ThreatModel
from inradius.testing import components
from inradius.testing.claims import close, require
from inradius.testing.networks import network
from inradius.testing.strategies import Shape, perturbations

Labels = Callable[[Tensor], Tensor]
Broken = Callable[[Tensor, Tensor], Tensor]

# three inputs suffice to go around a corner
_INPUTS = (3,)


@attrs.frozen(eq=False)
class Answers:
    """A case for the laws of outcomes: outputs (B, *O), others near and far (B, *O), and labels of them.

    labels: the labels for which outputs are right, (B, *O) -> (B, ...); seed: of the random network; broken: what counts as
    broken, told without the outcome, outputs (B, *O) and labels (B, ...) -> (B,), or None.
    """

    outputs: Tensor
    others: Tensor
    y: Tensor
    labels: Labels
    seed: int
    tol: float
    broken: Broken | None = None


def answers(
    outputs: Shape, labels: Labels, *, broken: Broken | None = None, batch: int = 3, tolerance: float = 1e-9
) -> st.SearchStrategy[Answers]:
    """Outputs of every size, with ties, and labels of outputs beside them."""
    drawn = perturbations(outputs, batch=batch).map(lambda z: z.clamp(-1e3, 1e3))

    def build(z: Tensor, step: Tensor, share: float, seed: int) -> Answers:
        other = z + share * step
        return Answers(z, other, labels(other), labels, seed, tolerance, broken)

    return st.builds(build, drawn, drawn, st.sampled_from([0.0, 1e-6, 0.1, 1.0]), st.integers(0, 2**31))


def spec_round_trip(outcome: Outcome, case: Answers) -> None:
    """The spec of an outcome, short or full, builds an equal one with an equal hash; a user's function has none."""
    if not isinstance(outcome, FunctionOutcome):
        components.spec_round_trip(outcome)


def one_margin_per_example(outcome: Outcome, case: Answers) -> None:
    """Labels and outputs pass their checks, and the margin is one finite number for each example."""
    for outputs in (case.outputs, case.outputs.float()):
        labels = outcome.check_labels(outputs[:, None], case.y)
        outcome.check_outputs(outputs, labels)
        margin, size = outcome.judged(outputs, labels), outcome.size(outputs, labels)
        seen = outcome.logits(outputs, labels)
        assert seen.dtype == outputs.dtype, f"attacks see {seen.dtype} for outputs in {outputs.dtype}"
        require(
            margin.isfinite() & size.isfinite() & (size >= 0), "margin and size are finite", margin=margin, size=size
        )


def examples_are_judged_alone(outcome: Outcome, case: Answers) -> None:
    """The margin of an example does not depend on its batch mates."""
    together = outcome.margin(case.outputs, case.y)
    rows = [slice(row, row + 1) for row in range(len(case.y))]
    alone = torch.cat([outcome.margin(case.outputs[row], case.y[row]) for row in rows])
    slack = case.tol * (1 + outcome.size(case.outputs, case.y))
    require(close(together, alone, slack), "an example has the same margin alone", together=together, alone=alone)


def the_margin_says_what_is_broken(outcome: Outcome, case: Answers) -> None:
    """The margin is negative for the examples that the case calls broken and for no others, up to rounding."""
    if case.broken is None:
        return
    for outputs in (case.outputs, case.others):
        told, margin = case.broken(outputs, case.y), outcome.margin(outputs, case.y)
        slack = case.tol * (1 + outcome.size(outputs, case.y) + margin.abs())
        agree = torch.where(told, margin <= slack, margin >= -slack)
        require(agree, "the margin is negative where the example is broken", broken=told, margin=margin)


def judging_changes_nothing(outcome: Outcome, case: Answers) -> None:
    """The margin and the property are asked without a change of outputs or labels."""
    outputs, y = case.outputs.clone(), case.y.clone()
    outcome.judged(outputs, y)
    _property(outcome, y, outputs)
    assert torch.equal(outputs, case.outputs), f"{outcome} writes on the outputs"
    assert torch.equal(y, case.y), f"{outcome} writes on the labels"


def gradients_are_finite(outcome: Outcome, case: Answers) -> None:
    """The gradient that attacks follow is finite wherever the margin has one, also at ties."""
    for outputs in (case.outputs.clone(), case.outputs.float()):
        logits = outcome.logits(outputs.requires_grad_(), case.y)
        if logits.requires_grad:
            (gradient,) = torch.autograd.grad(logits[:, 0].sum(), outputs)
            require(gradient.isfinite(), "the gradient is finite", gradient=gradient, outputs=outputs.detach())


def two_logits_lead_by_the_margin(outcome: Outcome, case: Answers) -> None:
    """The two logits that attacks see differ by the margin, beyond rounding."""
    logits, margin = outcome.logits(case.outputs, case.y), outcome.margin(case.outputs, case.y)
    slack = case.tol * (1 + outcome.size(case.outputs, case.y) + margin.abs())
    lead = logits[:, 0] - logits[:, 1]
    require(close(lead, margin, slack), "the first logit leads by the margin", lead=lead, margin=margin)


def outputs_move_the_margin_as_far(outcome: Outcome, case: Answers) -> None:
    """With ``in_output_units`` the margin changes by at most twice the largest change of an output."""
    if not outcome.in_output_units:
        return
    one, other = (outcome.margin(outputs, case.y) for outputs in (case.outputs, case.others))
    step = flat(case.others - case.outputs).abs().amax(1)
    slack = case.tol * (1 + outcome.size(case.outputs, case.y) + outcome.size(case.others, case.y))
    require((one - other).abs() <= 2 * step + slack, "the margin moves at most twice as far", one=one, other=other)


def the_property_implies_the_outcome(outcome: Outcome, case: Answers) -> None:
    """The weakest clause of the property, where there is one, is never above the margin."""
    for outputs in (case.outputs, case.others):
        prop = _property(outcome, case.y, outputs)
        if prop is None:
            return
        weakest, margin = prop.weakest(prop.values(flat(outputs))), outcome.margin(outputs, case.y)
        slack = case.tol * (1 + outcome.size(outputs, case.y))
        require(weakest <= margin + slack, "the weakest clause is at most the margin", weakest=weakest, margin=margin)


def attacks_and_certificates_agree(outcome: Outcome, case: Answers) -> None:
    """On a random network a success is one that the outcome, asked again, confirms, and no certificate is contradicted."""
    rng = ExampleRNG(case.seed, torch.arange(len(case.outputs)))
    x, radius = rng.uniform(_INPUTS).double(), 0.5 * (1 + case.seed % 7) / 7
    model = _Shaped(network(_INPUTS, flat(case.outputs).shape[1], case.seed, depth=1), case.outputs.shape[1:])
    with torch.no_grad():
        y = case.labels(model(x))
    threat = make(f"linf(eps={radius})", ThreatModel)
    found = make("pgd(steps=8)", Attack)(model, x, y, threat, outcome=outcome)
    with torch.no_grad():
        point = x + found.delta
        again = torch.cat([outcome.margin(model(point[row : row + 1]), y[row : row + 1]) for row in range(len(y))])
    inside = threat.contains(found.delta, x)
    require(~found.success | ((again < 0) & inside), "a success is broken, and a member", margin=again)
    if _property(outcome, y, model(x).detach()) is None:
        return
    for certifier in ("interval", "crown"):
        proof = make(certifier, Certifier)(model, x, y, threat, outcome=outcome)
        slack = case.tol * (1 + again.abs())
        agree = ~(proof.certified & found.success) & (again >= proof.guaranteed - slack)
        require(agree, f"no attack breaks what {certifier} proves", margin=again, proved=proof.guaranteed)


class _Shaped(nn.Module):
    """A network whose flat outputs come in another shape."""

    def __init__(self, model: nn.Module, shape: Shape) -> None:
        super().__init__()
        self.model, self.shape = model, shape

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.model(x)
        return found if len(self.shape) == 1 else found.view(-1, *self.shape)


def _property(outcome: Outcome, y: Tensor, outputs: Tensor) -> Property | None:
    try:
        return outcome.as_property(y, outputs)
    except UnsupportedError:
        return None


LAWS: tuple[Callable[[Any, Any], None], ...] = (
    spec_round_trip,
    one_margin_per_example,
    examples_are_judged_alone,
    the_margin_says_what_is_broken,
    judging_changes_nothing,
    gradients_are_finite,
    two_logits_lead_by_the_margin,
    outputs_move_the_margin_as_far,
    the_property_implies_the_outcome,
    attacks_and_certificates_agree,
)
