"""Flags: sentences that say why a robust accuracy cannot be trusted: the observation, its meaning, the remedy."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_callable
from inradius.attacks.attack import Attack
from inradius.attacks.counted_model import CountedModel
from inradius.bracketing.ledger import Ledger
from inradius.bracketing.plan import Plan
from inradius.bracketing.vote_interval import near_tie
from inradius.bracketing.voting import differing
from inradius.models.memory import shrinking
from inradius.models.modes import frozen
from inradius.models.outputs import asked
from inradius.outcomes.classes import TOP1, is_top1
from inradius.outcomes.outcome import Outcome, flat
from inradius.sets.examples import check_finite

# a few images are enough to show the habits of a model; all of them cost another clean pass and more
_SHOWN = 32
# a share of images near a tie; of shares between 0 and 1 that are alike likely a fifth lie there after 100 votes
_OPEN = 0.25
_RANDOM = "the model is random"
# parameters that say how often a search starts, or how often a random model is asked
_RUNS = ("restarts", "n", "samples")


def run_flags(plan: Plan, ledger: Ledger) -> tuple[str, ...]:
    """The flags of a run: those of its model on a few of its images, and those of its attacks' results; none without attacks."""
    if not plan.attacks:
        return ()
    batch = plan.batch(range(min(_SHOWN, plan.size)))
    right = {row for row, (_, margin) in ledger.clean.items() if margin > 0}
    successes = {
        attack: {row: made.success for row, made in ledger.attempts[f"attack {n}"].items() if row in right}
        for n, attack in enumerate(plan.attacks)
    }
    with frozen(plan.model):
        found = shrinking(
            lambda count: model_flags(plan.subject, batch.inputs[:count], batch.labels[:count], plan.options.outcome),
            len(batch.labels),
        )
    if plan.votes > 1:
        found = (_voted(plan.votes), *_open_votes(plan, ledger), *(flag for flag in found if _RANDOM not in flag))
    return (*found, *result_flags(successes))


def _voted(votes: int) -> str:
    return (
        f"two equal calls gave other logits: {_RANDOM}, so that predictions are votes of {votes} passes, attacks took the mean of "
        "many (eot), and another run gives other numbers, mostly within the intervals"
    )


def _open_votes(plan: Plan, ledger: Ledger) -> Iterator[str]:
    """A sentence where many images have votes near a tie, or few passes, for which ``vote_interval`` is too narrow."""
    margins = [ledger.example(row, row, None).least_margin for row in ledger.rows()]
    open_ = sum(near_tie(margin, plan.votes) for margin in margins)
    if open_ > _OPEN * len(margins):
        yield (
            f"of {len(margins)} images {open_} have votes within two standard deviations of a tie: where the shares of so many "
            "images are alike, the accuracy of more passes may lie outside of the 95 % intervals; give more votes, such as "
            f"{4 * plan.votes}"
        )


def model_flags(
    model: nn.Module | Callable[[Tensor], Tensor], x: Tensor, y: Tensor, outcome: Outcome = TOP1
) -> tuple[str, ...]:
    """Sentences on a model that attacks give misleading results for, judged on images x (B, *S) with labels y (B,).

    There is none for a model without such a fault. The faults are logits that are not finite, random, the same for every
    image, dependent on batch mates, or probabilities, and gradients that do not exist, vanish or are not finite. The cost is
    three forward passes and one backward pass. ``outcome`` says what labels and outputs are, by default classes and logits.
    """
    labels = outcome.check_labels(x, y)
    check_callable(model)
    check_finite(x)
    if not len(x):
        return ()
    with frozen(model):
        # a copy, because what came from inference_mode cannot be saved for a gradient
        return tuple(_model_flags(model, x.detach().clone(), labels.detach().to(x.device, copy=True), outcome))


def result_flags(successes: Mapping[Attack, Mapping[int, bool]]) -> tuple[str, ...]:
    """Sentences on the results of several attacks on one set that speak against them.

    ``successes`` has for each attack, by the number of each example that it was run on, True where the attack succeeded.
    The faults are black-box attacks that succeed where no gradient attack does, and attacks that succeed more often with
    more restarts.
    """
    return (*_blind_beats_sighted(successes), *_not_converged(successes))


def _model_flags(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, outcome: Outcome) -> Iterator[str]:
    with torch.no_grad():
        first = asked(model, x)
    broken = _count_not_finite(first)
    if broken:
        yield (
            f"the logits of {broken} of {len(x)} images are NaN or infinite, so that no prediction there means anything: "
            "find the layer that overflows before you attack"
        )
        return
    subject, point = CountedModel(model, y, outcome=outcome), x.requires_grad_()
    logits = subject.outputs(point)
    plain = logits.detach()
    yield from _noise_flags(first, plain, _half(subject, x), outcome)
    if len(x) > 1 and bool((x != x[:1]).any()) and bool((plain == plain[:1]).all()):
        yield (
            f"all {len(x)} images have the same logits: the model does not look at its input, so no attack can succeed, "
            "and none of that is robustness"
        )
        return
    if is_top1(outcome) and bool((plain >= 0).all()) and bool(((plain.sum(1) - 1).abs() <= 1e-4).all()):
        yield (
            f"the outputs of all {len(x)} images are probabilities, not logits: the softmax inside the model flattens "
            "gradients, and attacks seem weaker than they are; attack the model without its softmax"
        )
    yield from _gradient_flags(outcome.judged(logits, y), point)


def _count_not_finite(logits: object) -> int:
    if not isinstance(logits, Tensor) or logits.ndim < 1 or not logits.is_floating_point():
        return 0  # the check of logits has the words for these
    return int((~flat(logits).isfinite()).any(1).sum())


@torch.no_grad()
def _half(subject: CountedModel, x: Tensor) -> Tensor:
    """The logits of the first half of the images in a batch of their own."""
    few = torch.arange((len(x) + 1) // 2, device=x.device)
    return subject.take(few).outputs(x[few])


def _noise_flags(first: Tensor, second: Tensor, half: Tensor, outcome: Outcome) -> Iterator[str]:
    """Sentences on logits that differ between two equal calls, or in a smaller batch."""
    differ = differing(first, second)
    if differ:
        one, other = outcome.predicted(first), outcome.predicted(second)
        turned = 0 if one is None or other is None else int((one != other).sum())
        yield (
            f"two equal calls gave {differ} of {len(first)} images other logits, and {turned} another class: {_RANDOM}, "
            "and a success may be that of one draw; attack its expectation, as in eot(pgd(), samples=20), and judge "
            "repeatedly"
        )
        return
    differ = differing(first[: len(half)], half)
    if differ:
        yield (
            f"{differ} of {len(half)} images get other logits in a smaller batch: examples influence each other, and a result "
            "holds for its batch alone; look for batch statistics and for state kept between calls"
        )


def _gradient_flags(margin: Tensor, point: Tensor) -> Iterator[str]:
    gradient, reason = _gradient(margin, point)
    if gradient is None:
        yield (
            f"the logits have no gradient in the images ({reason}): gradient attacks cannot run, and black-box attacks alone "
            "overstate robustness; declare a stand-in for the backward pass of the layer with inradius.BPDA"
        )
        return
    slopes = gradient.flatten(1)
    broken = int((~slopes.isfinite()).any(1).sum())
    if broken:
        yield (
            f"the gradient of {broken} of {len(slopes)} images is NaN or infinite: attacks take those coordinates as 0 and go "
            "astray; find the operation that is not differentiable there"
        )
    zero = int((slopes == 0).all(1).sum())
    if zero:
        yield (
            f"the gradient of {zero} of {len(slopes)} images is zero: gradient attacks cannot move there, and what they leave "
            "is not robust for that; add black-box attacks such as square(), or inradius.BPDA for the layer that is flat"
        )


def _gradient(margin: Tensor, point: Tensor) -> tuple[Tensor | None, str]:
    """The gradient of each margin, or None and the reason why there is none."""
    if not margin.requires_grad:
        return None, "something inside is detached or not torch"
    try:
        (found,) = torch.autograd.grad(margin.sum(), point, allow_unused=True)
    except (RuntimeError, NotImplementedError) as error:  # a layer without a backward pass; the sentence says which
        return None, str(error).splitlines()[0]
    return found, "something inside is detached or not torch"


def _blind_beats_sighted(successes: Mapping[Attack, Mapping[int, bool]]) -> Iterator[str]:
    """Sentences on black-box attacks that succeed on examples that are robust to every gradient attack."""
    blind = [attack for attack in successes if attack.is_black_box()]
    sighted = [attack for attack in successes if attack not in blind]
    tried = {row for attack in sighted for row in successes[attack]}
    broken = {row for attack in sighted for row, success in successes[attack].items() if success}
    for attack in blind:
        more = [row for row, success in successes[attack].items() if success and row in tried - broken]
        if more:
            yield (
                f"{attack}, which sees no gradient, broke {len(more)} of the {len(tried - broken)} examples that are robust to "
                f"{_listed(sighted)}: gradients lead astray here, and the robust accuracy is too high; try inradius.BPDA, "
                "eot, other objectives, and more queries"
            )


def _not_converged(successes: Mapping[Attack, Mapping[int, bool]]) -> Iterator[str]:
    """Sentences on attacks that succeed more often with more restarts."""
    shorter: dict[object, Attack] = {}
    for attack in sorted(successes, key=lambda attack: _search(attack)[1]):
        kernel, _ = _search(attack)
        if kernel in shorter:
            yield from _gain(shorter[kernel], successes[shorter[kernel]], attack, successes[attack])
        shorter[kernel] = attack


def _gain(shorter: Attack, before: Mapping[int, bool], longer: Attack, after: Mapping[int, bool]) -> Iterator[str]:
    more = [row for row, success in after.items() if success and before.get(row) is False]
    # one example is chance; a hundredth of them moves the figure that is reported
    if len(more) >= max(2, len(before) / 100):
        yield (
            f"{longer} broke {len(more)} examples that {shorter} did not, of {len(before)}: chance decides, and success "
            "still grows with restarts; run more of them, or a stronger attack"
        )


def _search(attack: Attack) -> tuple[object, int]:
    """A value that is equal for attacks that differ in restarts and seed alone, and the number of starts."""
    values = {field.name: getattr(attack, field.name) for field in attrs.fields(type(attack))}
    runs = math.prod(value for name, value in values.items() if name in _RUNS and isinstance(value, int))
    rest = {name: value for name, value in values.items() if name not in (*_RUNS, "seed")}
    members = attack.inner()
    if len(members) == 1 and len(rest) == 1:
        kernel, inner = _search(members[0])
        return kernel, runs * inner
    return (type(attack), tuple(sorted((name, str(value)) for name, value in rest.items()))), runs


def _listed(attacks: Sequence[Attack]) -> str:
    return " and ".join(map(str, attacks))
