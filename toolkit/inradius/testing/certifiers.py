"""Laws of certifiers, one function each; ``LAWS`` lists them all.

A certifier whose bounds may be wrong with some probability does not have to satisfy the laws about values.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from inradius.certifiers.certifier import Certificate, Certifier, Property
from inradius.errors import UnsupportedError
from inradius.sets.examples import expand
from inradius.sets.oracles import Oracles
from inradius.testing.claims import close, require
from inradius.testing.components import spec_round_trip
from inradius.testing.networks import Trial

_STEPS = 10  # steps of the descent that looks for a value below a bound


def members_lie_above_the_bound(certifier: Certifier, trial: Trial) -> None:
    """No sampled or extreme perturbation of Δ(x), at the full or a smaller radius, has a value below the bound."""
    for prop in _properties(certifier, trial):
        proof = _certify(certifier, trial, prop=prop)
        for factor in (1.0, 0.5, 0.1):
            for delta in trial.members(trial.threat.scaled(factor)):
                _above(proof, _values(certifier, trial, prop, delta), f"a perturbation at {factor} of the radius")


def attacked_values_lie_above_the_bound(certifier: Certifier, trial: Trial) -> None:
    """No perturbation that descends on a row of the property within Δ(x) reaches a value below the row's bound."""
    for prop in _properties(certifier, trial):
        proof = _certify(certifier, trial, prop=prop)
        for row in range(prop.offsets.shape[1]):
            for delta in _descend(certifier, trial, prop, row):
                _above(proof, _values(certifier, trial, prop, delta), f"a descent on row {row}")


def certificates_say_what_the_bounds_say(certifier: Certifier, trial: Trial) -> None:
    """A certificate agrees with its bounds.

    lower is (B, classes − 1) and never NaN. certified is true where every row is above its error. The failure probability is in
    [0, 1].
    """
    proof = _certify(certifier, trial)
    classes = certifier.subject(trial.model)(trial.x).shape[1]
    assert proof.lower.shape == (len(trial.x), classes - 1), f"lower has the shape {tuple(proof.lower.shape)}"
    require(~proof.lower.isnan(), "a bound is a number", lower=proof.lower)
    require((proof.error >= 0) & proof.error.isfinite(), "the error is a number ≥ 0", error=proof.error)
    same = proof.certified == (proof.lower > proof.error).all(1)
    require(same, "certified means that every row is above its error", lower=proof.lower, error=proof.error)
    assert 0 <= proof.failure_probability <= 1, f"{proof.failure_probability} is no probability"


def batch_mates_change_nothing(certifier: Certifier, trial: Trial) -> None:
    """An example's bounds are the same alone and in any batch, up to rounding."""
    together = _certify(certifier, trial)
    alone = [_certify(certifier, trial.select(torch.tensor([row]))) for row in range(len(trial.x))]
    lower = torch.cat([proof.lower for proof in alone])
    slack = together.error + trial.tol * (1 + together.lower.abs())
    require(
        close(together.lower, lower, slack),
        "an example has the same bounds alone",
        together=together.lower,
        alone=lower,
    )


def equal_calls_give_equal_bounds(certifier: Certifier, trial: Trial) -> None:
    """The same call gives the same bounds, bit for bit."""
    first, second = _certify(certifier, trial), _certify(certifier, trial)
    require(first.lower == second.lower, "two equal calls agree", first=first.lower, second=second.lower)


def exact_bounds_are_attained(certifier: Certifier, trial: Trial) -> None:
    """Bounds that are called exact equal the values at their witness, a point of the set, where they have a witness."""
    prop = next(_properties(certifier, trial))
    for part in trial.threat.members():
        bounds = certifier.lower_bound(trial.model, trial.x, part, prop, trial.streams())
        if not bounds.exact or bounds.witness is None:
            continue
        value = _values(certifier, trial, prop, bounds.witness)
        slack = 1e-5 * (1 + value.abs())
        require(part.contains(bounds.witness, trial.x), "a witness lies in Δ(x)", witness=bounds.witness)
        attained = ((value - bounds.value).abs() <= slack).any(1)
        require(attained, "an exact bound is attained at the witness", value=value, bound=bounds.value)


def witnesses_violate_the_property(certifier: Certifier, trial: Trial) -> None:
    """A witness of a certificate lies in Δ(x), and the property fails there, up to rounding."""
    for prop in _properties(certifier, trial):
        proof = _certify(certifier, trial, prop=prop)
        if proof.witness is None:
            continue
        told = proof.witness.flatten(1).isfinite().all(1)
        delta = torch.where(expand(told, trial.x), proof.witness.to(trial.x), 0)
        value = prop.weakest(_values(certifier, trial, prop, delta))
        size = 1e-5 * (1 + value.abs())
        require(~told | (value <= size), "the property fails at a witness", value=value)
        require(~told | trial.threat.contains(delta, trial.x), "a witness lies in Δ(x)", witness=delta)


def nothing_is_touched(certifier: Certifier, trial: Trial) -> None:
    """A certifier leaves the parameters, their gradients, the modes and the inputs unchanged."""
    model, x = trial.model, trial.x.clone()
    model.train()
    values = [p.detach().clone() for p in model.parameters()]
    try:
        refused = _refused(certifier, trial)
        # a certificate restores the model; bounds for training do not
        with torch.no_grad():
            certifier.bound(model, trial.x, trial.y, trial.threat, index=trial.rows)
        assert all(module.training for module in model.modules()), "the certifier left the model in another mode"
        assert all(p.grad is None for p in model.parameters()), "the certifier filled gradients of parameters"
        assert all(p.requires_grad for p in model.parameters()), "the certifier changed requires_grad of parameters"
        same = all(torch.equal(p, v) for p, v in zip(model.parameters(), values, strict=True))
        assert same, "the certifier changed the model"
        assert torch.equal(trial.x, x), "the certifier changed the inputs"
        if refused is not None:
            raise refused
    finally:
        model.eval()


def _refused(certifier: Certifier, trial: Trial) -> UnsupportedError | None:
    """The error of a certificate that is refused, as it is where its model has changed; None where it is given."""
    try:
        _certify(certifier, trial)
    except UnsupportedError as error:
        return error
    return None


def _certify(certifier: Certifier, trial: Trial, *, prop: Property | None = None) -> Certificate:
    with torch.no_grad():
        return certifier(trial.model, trial.x, trial.y, trial.threat, index=trial.rows, prop=prop)


def _properties(certifier: Certifier, trial: Trial) -> Iterator[Property]:
    """The margins, then random rows with offsets."""
    with torch.no_grad():
        classes = certifier.subject(trial.model)(trial.x).shape[1]
    yield Property.margins(trial.y, classes, dtype=trial.x.dtype)
    rng = trial.streams()
    yield Property(rng.normal((2, classes), dtype=trial.x.dtype), rng.normal((2,), dtype=trial.x.dtype))


def _values(certifier: Certifier, trial: Trial, prop: Property, delta: Tensor) -> Tensor:
    logits = certifier.subject(trial.model)(trial.x + delta)
    return (prop.weights * logits[:, None]).sum(2) + prop.offsets


def _descend(certifier: Certifier, trial: Trial, prop: Property, row: int) -> Iterator[Tensor]:
    """Iterates that descend on one row: those of Frank-Wolfe, towards extreme points of the set, and extreme points themselves."""
    threat: Oracles = trial.threat
    blended, jumping = torch.zeros_like(trial.x), torch.zeros_like(trial.x)
    for step in range(_STEPS):
        down = [-_gradient(certifier, trial, prop, row, delta) for delta in (blended, jumping)]
        best = threat.linear_max(down[0], trial.x)
        blended = threat.project(blended + 2 / (step + 2) * (best - blended), trial.x)
        jumping = threat.linear_max(down[1], trial.x)
        yield blended
        yield jumping


def _gradient(certifier: Certifier, trial: Trial, prop: Property, row: int, delta: Tensor) -> Tensor:
    moving = delta.clone().requires_grad_()
    value = _values(certifier, trial, prop, moving)[:, row].sum()
    (gradient,) = torch.autograd.grad(value, moving)
    return gradient


def _above(proof: Certificate, value: Tensor, what: str) -> None:
    if proof.failure_probability > 0:
        return
    ok = value.detach() >= proof.lower - proof.error
    require(ok, f"{what} has no value below the bound", value=value, lower=proof.lower, error=proof.error)


LAWS = (
    spec_round_trip,
    members_lie_above_the_bound,
    attacked_values_lie_above_the_bound,
    certificates_say_what_the_bounds_say,
    batch_mates_change_nothing,
    equal_calls_give_equal_bounds,
    exact_bounds_are_attained,
    witnesses_violate_the_property,
    nothing_is_touched,
)
