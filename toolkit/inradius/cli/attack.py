"""``inradius attack``."""

from inradius.cli import options
from inradius.cli.question import Question


def attack(
    model: options.Model = options.MODEL,
    weights: options.Weights = None,
    data: options.Data = options.DATA,
    count: options.Count = options.COUNT,
    threat: options.Threat = options.THREAT,
    attack: options.Attacks = None,
    device: options.Device = None,
    batch_size: options.BatchSize = 128,
    seed: options.Seed = 0,
    out: options.Out = None,
    fresh: options.Fresh = False,
    optimize_model: options.OptimizeModel = False,
    per_class: options.PerClass = True,
    exhaustive: options.Exhaustive = True,
) -> None:
    """Accuracy under attack, for each attack and for the worst of them."""
    question = Question(
        model=model,
        weights=weights,
        data=data,
        count=count,
        threat=threat,
        device=device,
        batch_size=batch_size,
        seed=seed,
        out=out,
        fresh=fresh,
        optimize_model=optimize_model,
        exhaustive=exhaustive,
        per_class=per_class,
    )
    question.answer(attack, ())
