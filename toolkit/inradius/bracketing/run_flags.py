"""The flags of a run: what in the model, and in the attacks' results, says that they cannot be trusted."""

from inradius.bracketing.flags import model_flags, result_flags
from inradius.bracketing.ledger import Ledger
from inradius.bracketing.plan import Plan
from inradius.models.modes import frozen

# as many images as show a model's habits; all of them would cost another clean pass and more
_SHOWN = 32


def flags(job: Plan, ledger: Ledger) -> tuple[str, ...]:
    """A sentence for each sign; none where no attack was run."""
    if not job.attacks:
        return ()
    batch = job.batch(range(min(_SHOWN, job.size)))
    right = {row for row, (_, margin) in ledger.clean.items() if margin > 0}
    successes = {
        attack: {row: made.success for row, made in ledger.attempts[f"attack {n}"].items() if row in right}
        for n, attack in enumerate(job.attacks)
    }
    with frozen(job.model):
        return (*model_flags(job.subject, batch.inputs, batch.labels), *result_flags(successes))
