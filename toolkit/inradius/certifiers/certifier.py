"""Certifiers prove that no perturbation in Δ(x) changes the prediction."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal, final, get_args

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_flag, check_kind, check_model, check_threat, numbered
from inradius.certifiers.bound_passes import BoundPasses, VerificationQuery
from inradius.certifiers.certificate import DEFAULT_CLAIM, Claim, check_claim
from inradius.certifiers.certificate import Bounds as Bounds
from inradius.certifiers.certificate import Certificate as Certificate
from inradius.certifiers.certificate_in_progress import certificate_in_progress
from inradius.components.component import Component
from inradius.data.checks import check_images, check_labels
from inradius.errors import InputError, PluginError
from inradius.models.later_run import check_later_run
from inradius.models.modes import evaluating, full_precision, subnormals_kept, uncompiled
from inradius.models.outputs import answered, check_logits
from inradius.models.preserved import preserved
from inradius.models.selected import one_output
from inradius.outcomes.classes import is_top1
from inradius.outcomes.flattened import flattened
from inradius.outcomes.outcome import Outcome
from inradius.outcomes.property import Property as Property
from inradius.outcomes.property_rows import not_above
from inradius.rng import ExampleRNG
from inradius.sets.examples import expand
from inradius.sets.oracles import Oracles

UnionMode = Literal["each", "hull"]


@attrs.frozen(kw_only=True)
class Certifier(Component, ABC):
    """Proves lower bounds of a network's margins over Δ(x), from the set's support function alone.

    Law: no perturbation of the set has a value below the bound less the stated rounding error. ``widens`` is true where
    ``lower_bound`` also takes inputs in a wider type than the model's own (float64; float32 for a model in half precision), and
    still bounds the function of the model's stored weights.
    """

    widens: ClassVar[bool] = False

    def subject(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """The function that is certified and must be attacked: the model itself, unless the certifier changes it."""
        return model

    @abstractmethod
    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        """Lower bounds of the property over Δ(x), for a batch x (B, *S) and a model in eval mode.

        Within a certificate, ``inradius.certifiers.certificate_in_progress.current_certificate`` gives the level that is asked
        for. Bounds without a stated level are bounds of the exact function of the stored weights.
        """

    @final
    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor | None,
        threat: Oracles,
        *,
        index: Tensor | None = None,
        union: UnionMode = "each",
        prop: Property | None = None,
        claim: Claim = DEFAULT_CLAIM,
        decide: bool = False,
        outcome: Outcome | None = None,
    ) -> Certificate:
        """The certificate of a batch x (B, *S) with labels y (B,), computed in eval mode, without TF32 and without gradients.

        A property ``prop`` needs no labels, and the outputs need not be logits; nor with an ``outcome``, whose property is
        proved. A union is certified member by member (``union="each"``) or in one pass over its hull (``"hull"``). ``claim`` is
        the level that is asked for. What fails at level "float" because of the rounding of the model's own execution alone is
        tried again at level "real". A certifier that ``widens`` bounds a model in half precision in float32, and bounds an
        example again in float64 where its bound is within its rounding error of zero. With ``decide`` only the sign of a bound
        matters, and a certifier may stop work on a row as soon as it is proved to be above 0 or refuted. Raises ``InputError``
        for invalid inputs and ``UnsupportedError`` for a layer or a set without a sound bound.
        """
        outcome = _outcome(outcome, prop)
        where = _checked(model, x, y, threat, index, union, outcome)
        threat = threat.at(where, x)
        _check_asked(claim, decide)
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            evaluating(model),
            preserved(model) as state,
            full_precision(),
            uncompiled(),
            subnormals_kept(),
            certificate_in_progress(x.dtype, claim=claim, decide=decide, state=state),
        ):
            # a copy, because a tensor made in inference_mode cannot be saved for a gradient
            x = x.detach().clone()
            model, outputs, asked_for = self._question(model, x, y, prop, outcome)
            passes = BoundPasses(partial(self._bound, model), self.widens)
            proven = passes(VerificationQuery(x, asked_for, where), _members(threat, union))
            certified = proven.certified(asked_for)
            harmless = self._satisfying(model, x, proven.witness, asked_for)
            if self.subject(model) is model:
                check_later_run(model, x, outputs, bits=state.changed)
        return Certificate(
            lower=proven.lower,
            certified=certified,
            method=str(self),
            failure_probability=proven.failure_probability,
            precision=proven.bits,
            error=proven.error,
            union=union,
            claim=proven.claim,
            asked=claim,
            witness=_refuting(proven.witness, certified | harmless),
            clauses=asked_for.clauses,
        )

    def _question(
        self, model: nn.Module, x: Tensor, y: Tensor | None, prop: Property | None, outcome: Outcome | None
    ) -> tuple[nn.Module, Tensor, Property]:
        """The model with flat outputs, its outputs (B, O), and what is asked of them."""
        model, outputs = self._outputs(model, x)
        if outcome is None:
            return model, outputs, _property(x, y, prop, outputs)
        found = _of_outcome(outcome, x, y, outputs)
        model, outputs = flattened(model, outputs)
        return model, outputs, _property(x, None, found, outputs)

    def _satisfying(self, model: nn.Module, x: Tensor, witness: Tensor | None, prop: Property) -> Tensor:
        """True for the examples at whose witness the property holds as it was asked for, (B,).

        A property of a wider type than x is rounded where bounds are computed in the type of x, and may be violated then.
        """
        none = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        if witness is None or prop.weights.dtype == x.dtype:
            return none
        _, outputs = self._outputs(model, x + witness.to(x))
        for row in outputs.isfinite().all(1).nonzero().flatten().tolist():
            asked_for = prop.select(torch.tensor([row], device=x.device))
            above = ~not_above(asked_for.weights[0], asked_for.offsets[0], outputs[row])
            none[row] = bool(asked_for.holds(above[None]))
        return none

    @final
    def bound(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor | None,
        threat: Oracles,
        *,
        index: Tensor | None = None,
        union: UnionMode = "each",
        prop: Property | None = None,
    ) -> Tensor:
        """The lower bounds alone, (B, K), for training: they are differentiable, and no proof, because rounding is not bounded."""
        where = _checked(model, x, y, threat, index, union)
        threat = threat.at(where, x)
        with evaluating(model), full_precision(), uncompiled():
            model, outputs = self._outputs(model, x)
            asked_for = _property(x, y, prop, outputs).to(x.dtype)
            question = VerificationQuery(x, asked_for, where)
            bounds = [self._bound(model, question, part).value for part in _members(threat, union)]
        return torch.stack(bounds).amin(0)

    def _outputs(self, model: nn.Module, x: Tensor) -> tuple[nn.Module, Tensor]:
        """The model as one that returns a tensor, and the outputs of what is certified."""
        with torch.no_grad():
            return one_output(model, answered(self.subject(model), x))

    def _bound(self, model: nn.Module, asked: VerificationQuery, threat: Oracles) -> Bounds:
        prop = asked.prop
        if not len(asked.x):
            return Bounds(prop.offsets)
        bounds = self.lower_bound(model, asked.x, threat, prop, ExampleRNG(0, asked.where))
        if bounds.value.shape != prop.offsets.shape:
            raise PluginError(
                f"{self} returned bounds of shape {tuple(bounds.value.shape)}; it must be {tuple(prop.offsets.shape)}"
            )
        return bounds


def _refuting(witness: Tensor | None, certified: Tensor) -> Tensor | None:
    """The witnesses of the examples that are not certified, NaN for the others, (B, *S); None where there are none."""
    if witness is None:
        return None
    kept = witness.masked_fill(expand(certified, witness), torch.nan)
    return None if bool(kept.isnan().all()) else kept


def _checked(
    model: nn.Module,
    x: Tensor,
    y: Tensor | None,
    threat: Oracles,
    index: Tensor | None,
    union: str,
    outcome: Outcome | None = None,
) -> Tensor:
    """The examples' numbers, (B,). Raises ``InputError`` where any argument is invalid."""
    if union not in get_args(UnionMode):
        raise InputError(f"union={union!r} is not allowed; allowed are 'each' and 'hull'")
    check_images(x)
    if y is not None and outcome is None:
        check_labels(x, y)
    check_model(model, x)
    check_threat(threat)
    threat.check_inputs(x)
    return numbered(index, x)


def _check_asked(claim: object, decide: object) -> None:
    check_claim(claim)
    check_flag(decide, "decide")


def _outcome(outcome: Outcome | None, prop: Property | None) -> Outcome | None:
    """The outcome, None for that of labels. Raises ``InputError`` where a property is given beside one."""
    if outcome is None:
        return None
    check_kind(outcome, Outcome, "outcome")
    if prop is not None and not is_top1(outcome):
        raise InputError("a property and an outcome are given; allowed is one of them")
    return None if is_top1(outcome) else outcome


def _of_outcome(outcome: Outcome, x: Tensor, y: Tensor | None, outputs: Tensor) -> Property:
    """The property that implies the outcome for these labels."""
    if y is None:
        raise InputError(f"the outcome {outcome} was given without labels; allowed are labels with every outcome")
    labels = outcome.check_labels(x, y).to(x.device)
    outcome.check_outputs(outputs, labels)
    return outcome.as_property(labels, outputs)


def _property(x: Tensor, y: Tensor | None, prop: Property | None, outputs: Tensor) -> Property:
    """The property of each input: ``prop``, checked against the model's outputs, or the margins of the labels."""
    if prop is not None:
        check_kind(prop, Property, "property")
    check_logits(outputs, len(x), least=2 if prop is None else 1)
    if prop is None:
        if y is None:
            raise InputError("neither labels nor a property are given; allowed is y, prop, or both")
        return _margins(y.to(x.device, torch.int64), outputs)
    if prop.weights.shape[2] != outputs.shape[1]:
        raise InputError(
            f"the property has weights for {prop.weights.shape[2]} outputs; the model has {outputs.shape[1]}, and one "
            "weight for each is allowed"
        )
    return prop.move(x.device).expand(len(x))


def _margins(y: Tensor, outputs: Tensor) -> Property:
    classes = outputs.shape[1]
    if len(y) and int(y.max()) >= classes:
        raise InputError(f"label {int(y.max())} is out of range; the model has the classes 0 to {classes - 1}")
    return Property.margins(y, classes, dtype=outputs.dtype)


def _members(threat: Oracles, union: str) -> tuple[Oracles, ...]:
    return threat.members() if union == "each" else (threat,)
