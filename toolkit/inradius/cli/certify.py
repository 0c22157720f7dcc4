"""``inradius certify``."""

from inradius.bracketing.options import DEFAULTS, BracketOptions
from inradius.cli import options
from inradius.cli.question import Given, Printed, Question, demand


def certify(
    model: options.Model = options.MODEL,
    weights: options.Weights = None,
    data: options.Data = options.DATA,
    count: options.Count = options.COUNT,
    threat: options.Threat = options.THREAT,
    outcome: options.Outcome = options.OUTCOME,
    certifier: options.Certifiers = None,
    union: options.UnionOption = DEFAULTS.union,
    device: options.Device = None,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    out: options.Out = DEFAULTS.folder,
    fresh: options.Fresh = DEFAULTS.fresh,
    time: options.Time = None,
    per_class: options.PerClass = False,
    exhaustive: options.Exhaustive = True,
    radius: options.Radius = False,
    accept_solver: options.AcceptSolver = DEFAULTS.accept_solver,
    claim: options.ClaimOption = DEFAULTS.claim,
    fail_under: options.FailUnder = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Certified accuracy, by each certifier and by all of them together; with --radius also each example's radius."""
    printed = Printed(json, quiet)
    printed.begin(model, data)
    asked = BracketOptions(
        outcome=outcome,
        attacks=(),
        certifiers=certifier,
        folder=out,
        fresh=fresh,
        time=time,
        audit=0.0,
        exhaustive=exhaustive,
        union=union,
        batch_size=batch_size,
        device=device,
        seed=seed,
        accept_solver=accept_solver,
        claim=claim,
    )
    given = Given(model, weights, data, count, threat)
    question = Question(given, asked, printed, per_class=per_class)
    demand(question.answer("certify", radius=radius), fail_under, json=json)
