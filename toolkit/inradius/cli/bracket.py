"""``inradius bracket``."""

from inradius.bracketing.options import DEFAULTS, BracketOptions
from inradius.cli import options
from inradius.cli.question import Given, Printed, Question, demand


def bracket(
    model: options.Model = options.MODEL,
    weights: options.Weights = None,
    data: options.Data = options.DATA,
    count: options.Count = options.COUNT,
    threat: options.Threat = options.THREAT,
    outcome: options.Outcome = options.OUTCOME,
    attack: options.Attacks = None,
    certifier: options.Certifiers = None,
    union: options.UnionOption = DEFAULTS.union,
    device: options.Device = None,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    out: options.Out = DEFAULTS.folder,
    fresh: options.Fresh = DEFAULTS.fresh,
    time: options.Time = None,
    optimize_model: options.OptimizeModel = DEFAULTS.optimize_model,
    votes: options.Votes = DEFAULTS.votes,
    per_class: options.PerClass = False,
    exhaustive: options.Exhaustive = DEFAULTS.exhaustive,
    audit: options.Audit = DEFAULTS.audit,
    over: options.Over = None,
    accept_solver: options.AcceptSolver = DEFAULTS.accept_solver,
    claim: options.ClaimOption = DEFAULTS.claim,
    fail_under: options.FailUnder = None,
    fail_under_attacked: options.FailUnderAttacked = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Certified accuracy ≤ robust accuracy ≤ accuracy under attack, with a report.

    Without options it answers for a network that ships with inradius, on real MNIST images.
    """
    printed = Printed(json, quiet)
    printed.begin(model, data)
    asked = BracketOptions(
        outcome=outcome,
        attacks=attack,
        certifiers=certifier,
        folder=out,
        fresh=fresh,
        time=time,
        audit=audit,
        exhaustive=exhaustive,
        union=union,
        batch_size=batch_size,
        device=device,
        seed=seed,
        optimize_model=optimize_model,
        votes=votes,
        accept_solver=accept_solver,
        claim=claim,
    )
    given = Given(model, weights, data, count, threat)
    question = Question(given, asked, printed, per_class=per_class)
    demand(question.answer("bracket", options.factors(over)), fail_under, fail_under_attacked, json=json)
