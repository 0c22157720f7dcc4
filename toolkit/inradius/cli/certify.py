"""``inradius certify``."""

from inradius.certifiers.certificate import DEFAULT_CLAIM
from inradius.cli import options
from inradius.cli.question import Question, demand


def certify(
    model: options.Model = options.MODEL,
    weights: options.Weights = None,
    data: options.Data = options.DATA,
    count: options.Count = options.COUNT,
    threat: options.Threat = options.THREAT,
    certifier: options.Certifiers = None,
    union: options.UnionOption = "each",
    device: options.Device = None,
    batch_size: options.BatchSize = 128,
    seed: options.Seed = 0,
    out: options.Out = None,
    fresh: options.Fresh = False,
    per_class: options.PerClass = False,
    exhaustive: options.Exhaustive = True,
    radius: options.Radius = False,
    accept_solver: options.AcceptSolver = False,
    claim: options.ClaimOption = DEFAULT_CLAIM,
    fail_under: options.FailUnder = None,
) -> None:
    """Certified accuracy, by each certifier and by all of them together; with --radius also each example's radius."""
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
        exhaustive=exhaustive,
        per_class=per_class,
        accept_solver=accept_solver,
        claim=claim,
    )
    demand(question.answer((), certifier, radius=radius), fail_under)
