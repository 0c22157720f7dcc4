"""``inradius attack``."""

from inradius.bracketing.options import DEFAULTS, BracketOptions
from inradius.cli import options
from inradius.cli.question import Given, Printed, Question, demand


def attack(
    model: options.Model = options.MODEL,
    weights: options.Weights = None,
    data: options.Data = options.DATA,
    count: options.Count = options.COUNT,
    threat: options.Threat = options.THREAT,
    outcome: options.Outcome = options.OUTCOME,
    attack: options.Attacks = None,
    device: options.Device = None,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    out: options.Out = DEFAULTS.folder,
    fresh: options.Fresh = DEFAULTS.fresh,
    time: options.Time = None,
    optimize_model: options.OptimizeModel = DEFAULTS.optimize_model,
    votes: options.Votes = DEFAULTS.votes,
    per_class: options.PerClass = True,
    exhaustive: options.Exhaustive = True,
    fail_under_attacked: options.FailUnderAttacked = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Accuracy under attack, for each attack and for the worst of them."""
    printed = Printed(json, quiet)
    printed.begin(model, data)
    asked = BracketOptions(
        outcome=outcome,
        attacks=attack,
        certifiers=(),
        folder=out,
        fresh=fresh,
        time=time,
        audit=0.0,
        exhaustive=exhaustive,
        batch_size=batch_size,
        device=device,
        seed=seed,
        optimize_model=optimize_model,
        votes=votes,
    )
    given = Given(model, weights, data, count, threat)
    question = Question(given, asked, printed, per_class=per_class)
    demand(question.answer("attack"), None, fail_under_attacked, json=json)
