"""The law kit catches what it is there to catch: for every law a component that breaks just that, and is found out."""

import attrs
import pytest
import torch
from torch import nn
from toy_sets import Cube

from inradius import (
    Attack,
    Bounds,
    Certifier,
    Defense,
    LayerRule,
    Objective,
    Outcome,
    PerExample,
    Property,
    Relaxation,
    SpecError,
    ThreatModel,
)
from inradius.sets.arithmetic.pairing import dual_pairing
from inradius.sets.norm import Norm
from inradius.testing import (
    attacks,
    certifiers,
    check_attack,
    check_certifier,
    check_defense,
    check_layer_rule,
    check_objective,
    check_outcome,
    check_threat_model,
    defenses,
    laws,
    objectives,
    outcomes,
    reference,
    rules,
    sets,
)
from inradius.testing.components import spec_round_trip


def exact(self, c, x):
    return dual_pairing(c, c.sign() * self.eps)


def largest(delta):
    return delta.flatten(1).abs().amax(1)


SETS = {
    sets.spec_round_trip: {},  # nobody registered it
    sets.zero_is_inside: {"gauge": lambda self, delta, x: largest(delta) / self.eps + 0.1},
    sets.oracles_stay_inside: {"linear_max": lambda self, c, x: c.sign() * self.eps * 1.01},
    sets.smaller_sets_are_inside: {"scaled": lambda self, factor: attrs.evolve(self, eps=self.eps * 2 * factor)},
    sets.symmetric_sets_allow_the_way_back: {
        "gauge": lambda self, delta, x: torch.where(delta.flatten(1).amin(1) < 0, torch.inf, largest(delta) / self.eps),
        "project": lambda self, delta, x: delta.clamp(0, self.eps),
        "linear_max": lambda self, c, x: (c > 0) * self.eps,
    },
    sets.gauge_scales: {"gauge": lambda self, delta, x: (largest(delta) / self.eps) ** 2},
    sets.norm_is_that_of_the_gauge: {
        "norm": property(lambda self: Norm(2.0)),
        "radius": property(lambda self: self.eps),
    },
    sets.gauge_at_radius_zero: {"gauge": lambda self, delta, x: largest(delta) / max(self.eps, 1e-3)},
    sets.bad_inputs_are_refused: {"check_inputs": lambda self, x: None},
    sets.projection_fixes_members: {"project": lambda self, delta, x: delta.clamp(-self.eps, self.eps) * 0.99},
    sets.projection_is_nearest: {
        "project": lambda self, delta, x: delta / (largest(delta) / self.eps).clamp(min=1).view(-1, 1, 1, 1)
    },
    sets.projection_is_nonexpansive: {"project": lambda self, delta, x: delta.sign() * self.eps},
    sets.projection_moves_only_outsiders: {"gauge": lambda self, delta, x: largest(delta) / self.eps / 100},
    sets.linear_max_beats_samples: {"linear_max": lambda self, c, x: c.sign() * self.eps * 0.9},
    sets.steepest_climbs: {"steepest": lambda self, gradient, x, delta, rng=None: -self.linear_max(gradient, x)},
    sets.support_bounds_linear_max: {"support": lambda self, c, x: 0.999 * exact(self, c, x)},
    sets.members_lie_below_support: {"support": lambda self, c, x: (1 - 1e-11) * exact(self, c, x)},
    sets.support_is_sublinear: {"support": lambda self, c, x: exact(self, c, x) + 0.01},
    sets.support_gradient_is_a_subgradient: {
        "support": lambda self, c, x: exact(self, c.detach(), x) + 0 * c.flatten(2).sum(2)
    },
    sets.support_bound_is_above_support: {"support_bound": lambda self, c, x: 0.999 * exact(self, c, x)},
    sets.hull_is_never_inside: {"hull": lambda self, x: (x * 0 - self.eps, x * 0 + self.eps * 0.999)},
    sets.bound_affine_is_never_inside: {
        "bound_affine": lambda self, op, x: op.interval(x - 0.9 * self.eps, x + self.eps)
    },
    sets.hull_of_a_box_is_the_set: {
        "is_box": property(lambda self: True),
        "hull": lambda self, x: (x * 0 - 2 * self.eps, x * 0 + 2 * self.eps),
    },
    sets.sketch_is_never_inside: {"sketch": lambda self, x: (x * 0, x * 0 + self.eps, 2.0)},
    sets.ignores_batch_mates: {"gauge": lambda self, delta, x: largest(delta).max().expand(len(x)) / self.eps},
    sets.per_example_agrees_with_scaled: {"per_example": lambda self, factors: PerExample(self, factors * 0.9)},
    sets.results_live_where_inputs_live: {"gauge": lambda self, delta, x: largest(delta).double() / self.eps},
    sets.agrees_with_cvxpy: {"constraints": lambda self, delta, x: [delta <= self.eps, delta >= -0.9 * self.eps]},
}


def broken(base, **overrides):
    return type(f"Broken{base.__name__}", (base,), overrides)


def caught(law, check):
    with pytest.raises(AssertionError) as found:
        check()
    assert law.__name__ in found.value.__notes__[0]
    assert str(found.value).split("\n")[0], "the message says what is wrong"


def test_the_cube_itself_is_right():
    check_threat_model(Cube(eps=0.3), shape=(1, 2, 2), without=[spec_round_trip])
    check_threat_model(Cube(eps=0.3), shape=(1, 2, 2), without=[spec_round_trip], dtype=torch.float32)


@pytest.mark.parametrize("law", laws(ThreatModel))
def test_a_set_that_breaks_a_law_is_caught(law):
    threat = broken(Cube, **SETS[law])(eps=0.3)
    caught(law, lambda: check_threat_model(threat, shape=(1, 2, 2), only=[law]))


@attrs.frozen(kw_only=True)
class Corner(Attack):
    """A random corner for each example, and the worse of it and its opposite."""

    def perturb(self, batch, *, observe=None):
        delta = batch.threat.linear_max(batch.rng.normal(tuple(batch.x.shape[1:]), dtype=batch.x.dtype), batch.x)
        worse = batch.model(batch.x + delta).gather(1, batch.y[:, None]) > batch.model(batch.x - delta).gather(
            1, batch.y[:, None]
        )
        return torch.where(worse.view(-1, 1, 1, 1), -delta, delta)


def outside(self, batch, *, observe=None):
    return torch.full_like(batch.x, 2.0)


def lawless(self, batch, *, observe=None):
    return batch.threat.project(torch.randn_like(batch.x), batch.x)


def crowded(self, batch, *, observe=None):
    return batch.threat.project(batch.x - batch.x.mean(0), batch.x)


def careless(self, batch, *, observe=None):
    next(batch.model._model.parameters()).data.add_(0.1)
    return torch.zeros_like(batch.x)


def cheating(self, batch, *, observe=None):
    batch.model._model(batch.x)
    return torch.zeros_like(batch.x)


ATTACKS = {
    spec_round_trip: Corner.perturb,
    attacks.answers_are_inside: outside,
    attacks.equal_seeds_give_equal_answers: lawless,
    attacks.batch_mates_change_nothing: crowded,
    attacks.nothing_is_touched: careless,
    attacks.queries_are_counted: cheating,
}


def test_the_corner_itself_is_right():
    check_attack(Corner(), Cube(eps=0.3), without=[spec_round_trip])


@pytest.mark.filterwarnings("ignore::inradius.PluginWarning")
@pytest.mark.parametrize("law", ATTACKS)
def test_an_attack_that_breaks_a_law_is_caught(law):
    caught(law, lambda: check_attack(broken(Corner, perturb=ATTACKS[law])(), Cube(eps=0.3), only=[law]))


def test_an_attack_that_writes_on_its_examples_is_judged_on_the_given_ones():
    def scribble(self, batch, *, observe=None):
        batch.x.add_(5)
        return torch.zeros_like(batch.x)

    model, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.rand(5, 1, 2, 2)
    found = broken(Corner, perturb=scribble)()(model, x, model(x).argmax(1), Cube(eps=0.3))
    assert not bool(found.success.any())


@attrs.frozen(kw_only=True)
class Clean(Certifier):
    """Nothing is proved."""

    def lower_bound(self, model, x, threat, prop, rng):
        return Bounds(value=torch.full_like(prop.offsets, -1e9))


def clean(model, x, prop):
    return (prop.weights * model(x)[:, None]).sum(2) + prop.offsets


def lazy(self, model, x, threat, prop, rng):
    return Bounds(value=clean(model, x, prop) - 1e-3)


def crowd(self, model, x, threat, prop, rng):
    return Bounds(value=clean(model, x, prop).amin(0).expand_as(prop.offsets) - 100)


def dice(self, model, x, threat, prop, rng):
    return Bounds(value=-100 - torch.rand_like(prop.offsets))


def boast(self, model, x, threat, prop, rng):
    return Bounds(value=torch.full_like(prop.offsets, -100.0), exact=True, witness=torch.zeros_like(x))


def accuse(self, model, x, threat, prop, rng):
    return Bounds(value=torch.full_like(prop.offsets, -100.0), witness=torch.zeros_like(x))


def rough(self, model, x, threat, prop, rng):
    return Bounds(value=prop.offsets - 100, error=-torch.ones_like(prop.offsets))


def vandal(self, model, x, threat, prop, rng):
    next(model.parameters()).data.add_(1)
    return Bounds(value=prop.offsets - 100)


CERTIFIERS = {
    spec_round_trip: Clean.lower_bound,
    certifiers.members_lie_above_the_bound: lazy,
    certifiers.attacked_values_lie_above_the_bound: lazy,
    certifiers.certificates_say_what_the_bounds_say: rough,
    certifiers.batch_mates_change_nothing: crowd,
    certifiers.equal_calls_give_equal_bounds: dice,
    certifiers.exact_bounds_are_attained: boast,
    certifiers.witnesses_violate_the_property: accuse,
    certifiers.nothing_is_touched: vandal,
}


@pytest.mark.parametrize("law", laws(Certifier))
def test_a_certifier_that_breaks_a_law_is_caught(law):
    caught(law, lambda: check_certifier(broken(Clean, lower_bound=CERTIFIERS[law])(), Cube(eps=0.3), only=[law]))


class Bent(nn.Module):
    """A module of its own for a rule of its own: |z|, or 2 z + 1."""

    def __init__(self, affine):
        super().__init__()
        self.affine = affine

    def forward(self, z):
        return 2 * z + 1 if self.affine else z.abs()


class AbsRule(LayerRule):
    """How bounds pass |z|."""

    def interval(self, op, lower, upper):
        least = torch.where((lower < 0) & (upper > 0), 0.0, torch.minimum(lower.abs(), upper.abs()))
        return least, torch.maximum(lower.abs(), upper.abs())

    def undecided(self, op, lower, upper):
        return (lower < 0) & (upper > 0)

    def relax(self, op, lower, upper):
        crossing = self.undecided(op, lower, upper)
        width = torch.where(crossing, upper - lower, 1.0)
        side = torch.where(lower >= 0, 1.0, -1.0).to(lower)
        slope = torch.where(crossing, (upper + lower) / width, side)
        offset = torch.where(crossing, upper - slope * upper, 0.0)
        below = torch.where(crossing, 0.0, side)
        return Relaxation(lower_slope=below, lower_offset=below * 0, upper_slope=slope, upper_offset=offset)


class LineRule(LayerRule):
    """How bounds pass 2 z + 1."""

    affine = True

    def interval(self, op, lower, upper):
        return op(lower), op(upper)


def bent(self, op, lower, upper):
    good = AbsRule().relax(op, lower, upper)
    return attrs.evolve(good, upper_offset=good.upper_offset - 0.01)


RULES = {
    rules.interval_contains_values: (AbsRule, {"interval": lambda self, op, lower, upper: (lower.abs(), upper.abs())}),
    rules.relaxation_is_below_and_above: (AbsRule, {"relax": bent}),
    rules.decided_inputs_are_linear: (
        AbsRule,
        {
            "undecided": lambda self, op, lower, upper: lower > upper,
            "relax": lambda self, *args: AbsRule().relax(*args),
        },
    ),
    rules.adjoint_is_the_adjoint: (LineRule, {"adjoint": lambda self, op, rows: 2.01 * rows}),
    rules.unit_rows_are_rows: (
        LineRule,
        {"local_rows": lambda self, op: (torch.arange(3)[:, None], torch.full((3, 1), 3.0))},
    ),
    rules.affine_intervals_are_exact: (
        LineRule,
        {"interval": lambda self, op, lower, upper: (op(lower) - 1, op(upper))},
    ),
    rules.magnitude_is_a_bound: (LineRule, {"magnitude": lambda self, op, bound: 2 * bound}),
    rules.stretch_is_a_bound: (LineRule, {"stretch": lambda self, op, bound: 1.9 * bound}),
    rules.sums_over_some_are_counted: (LineRule, {"fan_of": lambda self, op, some: some.flatten(1).sum(1) * 0}),
}


@pytest.mark.parametrize("rule", [AbsRule, LineRule])
def test_the_rules_themselves_are_right(register, rule):
    register(layer_rules={Bent: rule()})
    check_layer_rule(Bent(rule.affine), (3,))


@pytest.mark.parametrize("law", laws(LayerRule))
def test_a_rule_that_breaks_a_law_is_caught(register, law):
    base, overrides = RULES[law]
    register(layer_rules={Bent: broken(base, **overrides)()})
    caught(law, lambda: check_layer_rule(Bent(base.affine), (3,), only=[law]))


@attrs.frozen(kw_only=True)
class First(Objective):
    """The first logit."""

    def __call__(self, logits, y, goal=None):
        return logits[:, 0]


OBJECTIVES = {
    spec_round_trip: lambda logits: logits[:, 0],
    objectives.one_score_per_example: lambda logits: logits.sum(),
    objectives.examples_are_scored_alone: lambda logits: logits[:, 0] - logits.mean(),
    # the labels' mean of the other score, and not of this one
    objectives.sure_targets_are_labels: lambda logits: logits[:, 0],
    objectives.gradients_are_finite: lambda logits: (logits[:, 0] - logits[:, 0]).sqrt(),
}


@pytest.mark.parametrize("law", laws(Objective))
def test_an_objective_that_breaks_a_law_is_caught(law):
    score = OBJECTIVES[law]
    changes = {"__call__": lambda self, logits, y, goal=None: score(logits)}
    if law is objectives.sure_targets_are_labels:
        changes["expected"] = lambda self, logits, targets: logits[:, 1]
    objective = broken(First, **changes)()
    caught(law, lambda: check_objective(objective, only=[law]))


@attrs.frozen(kw_only=True)
class Leader(Outcome):
    """Broken where the first output is not the largest one."""

    in_output_units = True

    def margin(self, outputs, y):
        return outputs[:, 0] - outputs[:, 1:].amax(1)

    def as_property(self, y, outputs):
        return Property.margins(torch.zeros_like(y), outputs.shape[1], dtype=outputs.dtype)


def not_first(outputs, y):
    return outputs.argmax(1) != 0


def generous(self, y, outputs):
    prop = Leader.as_property(self, y, outputs)
    return attrs.evolve(prop, offsets=prop.offsets + 10)


OUTCOMES = {
    outcomes.spec_round_trip: {},  # nobody registered it
    outcomes.one_margin_per_example: {"margin": lambda self, outputs, y: outputs[:, 0] * torch.nan},
    outcomes.examples_are_judged_alone: {"margin": lambda self, outputs, y: outputs[:, 0] - outputs.mean()},
    # it forgets all but two outputs
    outcomes.the_margin_says_what_is_broken: {"margin": lambda self, outputs, y: outputs[:, 0] - outputs[:, 1]},
    outcomes.judging_changes_nothing: {"margin": lambda self, outputs, y: outputs.mul_(2.0)[:, 0]},
    outcomes.gradients_are_finite: {"guide": lambda self, outputs, y: (outputs[:, 0] - outputs[:, 0]).sqrt()},
    outcomes.two_logits_lead_by_the_margin: {"guide": lambda self, outputs, y: outputs[:, 0] * torch.inf},
    outcomes.outputs_move_the_margin_as_far: {"margin": lambda self, outputs, y: 10 * outputs[:, 0]},
    outcomes.the_property_implies_the_outcome: {"as_property": generous},
    outcomes.attacks_and_certificates_agree: {"as_property": generous},
}


def test_the_leader_is_right():
    check_outcome(Leader(), broken=not_first, examples=20, without=[outcomes.spec_round_trip])


@pytest.mark.parametrize("law", laws(Outcome))
def test_an_outcome_that_breaks_a_law_is_caught(law):
    caught(law, lambda: check_outcome(broken(Leader, **OUTCOMES[law])(), broken=not_first, only=[law]))


@attrs.frozen(kw_only=True)
class Idle(Defense):
    """Trains nothing."""

    def loss(self, model, batch, threat, run):
        return model(batch.inputs).sum(1) * 0


def restless(self, model, data, threat, run):
    with torch.no_grad():
        next(model.parameters()).normal_(generator=torch.Generator().manual_seed(next(COUNTER)))
    return model.eval()


COUNTER = iter(range(1000))
DEFENSES = {
    spec_round_trip: Idle.fit,
    defenses.training_gives_a_network: lambda self, model, data, threat, run: model.train(),
    defenses.equal_seeds_give_equal_weights: restless,
}


def test_the_idle_defense_is_right():
    check_defense(Idle(), Cube(eps=0.3), examples=1, without=[spec_round_trip])


@pytest.mark.parametrize("law", laws(Defense))
def test_a_defense_that_breaks_a_law_is_caught(law):
    caught(law, lambda: check_defense(broken(Idle, fit=DEFENSES[law])(), Cube(eps=0.3), examples=1, only=[law]))


def test_the_reference_answers_by_a_solver():
    x, cube = torch.zeros(1, 2, 2, dtype=torch.float64), Cube(eps=0.5)
    delta, c = torch.tensor([[[2.0, -0.25], [0.0, -1.0]]]).double(), torch.tensor([[[1.0, -2.0], [0.0, 3.0]]]).double()
    torch.testing.assert_close(reference.project(cube, delta, x), cube.project(delta, x), rtol=0, atol=1e-6)
    assert reference.support(cube, c, x) == pytest.approx(3.0, rel=1e-8)
    assert reference.support(cube, 0 * c, x) == 0
    assert reference.gauge(cube, delta, x) == pytest.approx(4.0, rel=1e-6)
    assert reference.gauge(cube, 1e9 * delta, x) == torch.inf
    assert reference.contains(cube, delta / 4, x)
    assert not reference.contains(cube, delta / 3, x)


def test_a_law_is_one_sentence_with_a_name_of_its_own():
    for kind in (ThreatModel, Attack, Certifier, LayerRule, Objective, Outcome, Defense):
        found = laws(kind)
        assert len({law.__name__ for law in found}) == len(found)
        assert all(". " not in law.__doc__.split("\n\n")[0] for law in found)


def test_only_interfaces_have_laws():
    with pytest.raises(SpecError, match="there are no laws for Tensor; there are some for ThreatModel, Attack"):
        laws(torch.Tensor)
