"""``inradius bracket``."""

from inradius.certifiers.certificate import DEFAULT_CLAIM
from inradius.cli import options
from inradius.cli.question import Question, demand


def bracket(
    model: options.Model = options.MODEL,
    weights: options.Weights = None,
    data: options.Data = options.DATA,
    count: options.Count = options.COUNT,
    threat: options.Threat = options.THREAT,
    attack: options.Attacks = None,
    certifier: options.Certifiers = None,
    union: options.UnionOption = "each",
    device: options.Device = None,
    batch_size: options.BatchSize = 128,
    seed: options.Seed = 0,
    out: options.Out = None,
    fresh: options.Fresh = False,
    optimize_model: options.OptimizeModel = False,
    per_class: options.PerClass = False,
    exhaustive: options.Exhaustive = False,
    audit: options.Audit = 0.1,
    over: options.Over = None,
    accept_solver: options.AcceptSolver = False,
    claim: options.ClaimOption = DEFAULT_CLAIM,
    fail_under: options.FailUnder = None,
) -> None:
    """Certified accuracy ≤ robust accuracy ≤ accuracy under attack, with a report.

    Without options it answers for a network that ships with inradius, on real MNIST images.
    """
    factors = options.factors(over)
    question = Question(
        model=model,
        weights=weights,
        data=data,
        count=count,
        threat=threat,
        union=union,
        device=device,
        batch_size=batch_size,
        seed=seed,
        out=out,
        fresh=fresh,
        optimize_model=optimize_model,
        exhaustive=exhaustive,
        per_class=per_class,
        accept_solver=accept_solver,
        claim=claim,
        audit=audit,
    )
    report = question.answer(attack, certifier, factors)
    demand(report, fail_under)
