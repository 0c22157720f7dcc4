"""Laws of attacks, one function each; ``LAWS`` lists them all."""

import torch

from inradius.attacks.attack import Attack, Attacked
from inradius.attacks.objective import class_margin
from inradius.testing.claims import require
from inradius.testing.components import spec_round_trip
from inradius.testing.networks import Trial

# √u of float64, below which a margin is close to a tie
_CLOSE = 1.5e-8


def answers_are_inside(attack: Attack, trial: Trial) -> None:
    """The answer is finite and lies in Δ(x); a minimal-norm attack may leave the set, and then has no success."""
    found = _run(attack, trial)
    require(torch.isfinite(found.delta), "the answer is finite", delta=found.delta)
    inside = trial.threat.contains(found.delta, trial.x)
    require(found.inside == inside, "the answer is judged by the set", gauge=found.gauge)
    if not attack.minimal:
        require(inside, "the answer lies in Δ(x)", gauge=found.gauge)


def success_means_fooled(attack: Attack, trial: Trial) -> None:
    """A success is a point of Δ(x) that the model does not give its label, in a batch and alone; margin is its lead there."""
    found = _run(attack, trial)
    with torch.no_grad():
        margin = class_margin(trial.model(trial.x + found.delta), trial.y)
        alone = torch.cat([trial.model(image) for image in torch.split(trial.x + found.delta, 1)])
    fooled = (margin <= 0) & trial.threat.contains(found.delta, trial.x)
    require(
        (found.margin - margin).abs() <= trial.tol * (1 + margin.abs()), "margin is the label's lead", margin=margin
    )
    require(
        (found.success == fooled) | (margin.abs() <= trial.tol),
        "success means misclassified inside of Δ(x)",
        margin=margin,
    )
    require(~found.success | (class_margin(alone, trial.y) < 0), "a success is misclassified alone, too", margin=margin)
    require(~(found.success & found.within_rounding), "a success is not within rounding", margin=margin)


def equal_seeds_give_equal_answers(attack: Attack, trial: Trial) -> None:
    """The same call gives the same answer, bit for bit."""
    first, second = _run(attack, trial), _run(attack, trial)
    require(first.delta == second.delta, "two equal calls agree", first=first.delta, second=second.delta)


def batch_mates_change_nothing(attack: Attack, trial: Trial) -> None:
    """An example's answer is the same alone, in any batch and in any order."""
    together = _run(attack, trial).delta
    order = torch.arange(len(trial.x)).flip(0)
    reverse = _run(attack, trial.select(order)).delta.flip(0)
    alone = torch.cat([_run(attack, trial.select(row[None])).delta for row in order.flip(0)])
    slack = trial.tol * (1 + together.abs())
    require((together - alone).abs() <= slack, "an example has the same answer alone", together=together, alone=alone)
    require((together - reverse).abs() <= slack, "the order changes nothing", together=together, reverse=reverse)


def nothing_is_touched(attack: Attack, trial: Trial) -> None:
    """The attack leaves the parameters, their gradients and flags, the modes, the inputs and the labels as they were."""
    model, x, y = trial.model, trial.x.clone(), trial.y.clone()
    model.train()
    parameters = list(model.parameters())
    parameters[0].requires_grad_(False)
    values = [p.detach().clone() for p in parameters]
    try:
        _run(attack, trial)
        assert all(module.training for module in model.modules()), "the attack left the model in another mode"
        assert all(p.grad is None for p in parameters), "the attack filled gradients of parameters"
        flags = [p.requires_grad for p in parameters]
        assert flags == [False, *(True,) * (len(flags) - 1)], "the attack changed requires_grad of parameters"
        assert all(torch.equal(p, v) for p, v in zip(parameters, values, strict=True)), "the attack changed the model"
        assert torch.equal(trial.x, x), "the attack changed the inputs"
        assert torch.equal(trial.y, y), "the attack changed the labels"
        assert not trial.x.requires_grad, "the attack left the inputs asking for gradients"
    finally:
        parameters[0].requires_grad_(True)
        model.eval()


def queries_are_counted(attack: Attack, trial: Trial) -> None:
    """Every example costs as many queries as the model saw images for it, but for an answer close to a tie one less.

    That one is run again by itself, which is the judge's and not the attack's.
    """
    seen = 0

    def model(x: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += len(x)
        logits: torch.Tensor = trial.model(x)
        return logits

    found = attack(model, trial.x, trial.y, trial.threat, index=trial.rows)
    again = seen - int(found.queries.sum())
    close = int((found.inside & (found.margin.abs() <= trial.tol + _CLOSE * _largest(trial, found.delta))).sum())
    assert 0 <= again <= close, (
        f"{int(found.queries.sum())} queries are reported, but the model saw {seen} images, {close} of them again"
    )


def _largest(trial: Trial, delta: torch.Tensor) -> torch.Tensor:
    """The size of the logits at x + δ, (B,)."""
    with torch.no_grad():
        logits: torch.Tensor = trial.model(trial.x + delta)
    return logits.abs().amax(1).clamp(min=1)


def _run(attack: Attack, trial: Trial) -> Attacked:
    return attack(trial.model, trial.x, trial.y, trial.threat, index=trial.rows)


LAWS = (
    spec_round_trip,
    answers_are_inside,
    success_means_fooled,
    equal_seeds_give_equal_answers,
    batch_mates_change_nothing,
    nothing_is_touched,
    queries_are_counted,
)
