"""The laws of every outcome that ships, and what each says of examples that were made by hand."""

import math
import types

import attrs
import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, InputError, Outcome, Property, SpecError, UnsupportedError, make
from inradius.attacks.objective import class_margin
from inradius.components.registry import entries
from inradius.outcomes.classes import TOP1, Top1
from inradius.outcomes.outcome import flat
from inradius.testing import check_outcome, laws


def marks(outputs):
    return (outputs > 0).long()


def halves(outputs):
    return (outputs.reshape(-1) > 0.5).long()


def itself(outputs):
    return outputs


def lead(outputs, y):
    """The label's logit minus the mean."""
    return outputs.gather(1, y[:, None]).squeeze(1) - outputs.mean(1)


def lead_rows(y, outputs):
    count, classes = outputs.shape
    weights = torch.nn.functional.one_hot(y, classes).to(outputs) - 1 / classes
    return Property(weights[:, None], outputs.new_zeros(count, 1))


# the spec, the shape of the outputs of one example, and the labels for which outputs are right
CASES = [
    ("top1", (5,), None),
    ("top_k(1)", (4,), None),
    ("top_k(k=3)", (5,), None),
    ("confidence(0.5)", (5,), None),
    ("confidence(0.05)", (5,), None),
    ("confidence(0.9)", (2,), None),
    ("never(2)", (4,), None),
    ("binary", (), lambda z: marks(z)),
    ("binary(threshold=0.5)", (1,), halves),
    ("multi_label", (4,), marks),
    ("multi_label(0.25)", (3,), lambda z: (z > 0.25).long()),
    ("segmentation(0.7)", (3, 2, 2), None),
    ("segmentation(share=1.0)", (2, 3), None),
    ("segmentation(0.5, ignore=0)", (3, 4), lambda z: z[:, 1:].argmax(1) + 1),
    ("regression(0.3)", (), itself),
    ("regression(tolerance=10)", (3,), itself),
    (inradius.outcome(lead), (4,), None),
    (inradius.outcome(lead, prop=lead_rows, name="lead"), (4,), None),
]


@pytest.mark.parametrize("law", laws(Outcome), ids=lambda law: law.__name__)
@pytest.mark.parametrize(("outcome", "outputs", "labels"), CASES, ids=[str(case[0]) for case in CASES])
def test_every_outcome_obeys_the_laws(law, outcome, outputs, labels):
    check_outcome(outcome, outputs=outputs, labels=labels, only=[law], examples=8)


def test_every_outcome_that_ships_is_here():
    shipped = {name for name, entry in entries().items() if entry.kind is Outcome and "(inradius " in entry.origin}
    assert shipped <= {make(outcome, Outcome).spec_name() for outcome, _, _ in CASES}


LOGITS = torch.tensor([[3.0, 2.0, 1.0, 0.0], [3.0, 2.0, 1.0, 0.0], [3.0, 2.0, 1.0, 0.0]])


def right(spec, outputs, y):
    outcome = make(spec, Outcome)
    outcome.check_outputs(outputs, y)
    return (outcome.margin(outputs, y) > 0).tolist()


def test_top_k_asks_for_the_k_largest():
    y = torch.tensor([0, 1, 2])
    assert right("top_k(1)", LOGITS, y) == right("top1", LOGITS, y) == [True, False, False]
    assert right("top_k(2)", LOGITS, y) == [True, True, False]
    assert make("top_k(2)").margin(LOGITS, y).tolist() == [2, 1, -1]


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_top_k_is_the_rank_of_the_label(k):
    outputs = torch.randn(200, 5, generator=torch.Generator().manual_seed(k))
    y = torch.arange(200) % 5
    rank = (outputs > outputs.gather(1, y[:, None])).sum(1)
    assert right(f"top_k({k})", outputs, y) == (rank < k).tolist()


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.8])
def test_confidence_is_the_softmax_probability(threshold):
    outputs = 2 * torch.randn(200, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.arange(200) % 4
    sure = outputs.softmax(1).gather(1, y[:, None]).squeeze(1)
    assert right(f"confidence({threshold})", outputs, y) == (sure > threshold).tolist()


def test_the_rows_of_confidence_are_needed_too_for_two_classes():
    outputs = torch.randn(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outcome, y = make("confidence(0.7)"), torch.arange(100) % 2
    prop = outcome.as_property(y, outputs)
    assert torch.equal(prop.weakest(prop.values(outputs)) > 0, outcome.margin(outputs, y) > 0)


def test_never_forbids_one_class_whatever_the_label():
    assert right("never(0)", LOGITS, torch.tensor([0, 1, 2])) == [False] * 3
    assert right("never(3)", LOGITS, torch.tensor([0, 1, 3])) == [True] * 3


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_binary_takes_the_side_of_the_threshold(shape):
    outputs = torch.tensor([2.0, -2.0, 2.0, -2.0]).view(shape)
    y = torch.tensor([1, 0, 0, 1])
    assert right("binary", outputs, y) == [True, True, False, False]
    assert right("binary(threshold=3)", outputs, y) == [False, True, True, False]


def test_multi_label_is_broken_by_any_label():
    outputs = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    assert right("multi_label", outputs, torch.tensor([[1, 0], [1, 0]])) == [True, False]
    assert right("multi_label", outputs, torch.tensor([[True, False], [True, False]])) == [True, False]


def test_segmentation_counts_right_pixels():
    outputs = torch.randn(100, 3, 2, 5, generator=torch.Generator().manual_seed(0))
    y = torch.where(torch.rand(100, 2, 5, generator=torch.Generator().manual_seed(1)) < 0.7, outputs.argmax(1), 0)
    hits = (outputs.argmax(1) == y).flatten(1).float().mean(1).double()
    for share in (0.1, 0.7, 0.95, 1.0):
        assert right(f"segmentation({share})", outputs, y) == (hits >= share - 1e-6).tolist()
    y[:, 0] = 9
    hits = (outputs.argmax(1) == y)[:, 1].float().mean(1).double()
    assert right("segmentation(0.6, ignore=9)", outputs, y) == (hits >= 0.6 - 1e-6).tolist()


def test_regression_is_a_tolerance():
    outputs, y = torch.tensor([[1.0, 2.0], [1.0, 2.5]]), torch.tensor([[1.1, 2.0], [1.1, 2.0]])
    assert right("regression(0.2)", outputs, y) == [True, False]


def test_a_function_may_say_true_where_right():
    outcome = inradius.outcome(lambda outputs, y: outputs.argmax(1) == y)
    assert outcome.margin(LOGITS, torch.tensor([0, 1, 0])).tolist() == [1, -1, 1]
    found = make("square(queries=50)")(torch.nn.Flatten(), LOGITS / 3, torch.tensor([0, 0, 0]), LINF, outcome=outcome)
    assert found.success.tolist() == [True] * 3


LINF = make("linf(eps=0.5)")


def test_the_code_of_a_function_names_a_run():
    def made(limit):
        return inradius.outcome(lambda outputs, y: outputs.amax(1) - limit, name="limit")

    assert made(1.0).spec() == "outcome(limit)"
    assert made(1.0).spec(full=True) == made(1.0).spec(full=True) != made(2.0).spec(full=True)
    other = inradius.outcome(lambda outputs, y: outputs.amin(1) - 1.0, name="limit")
    assert other.spec(full=True) != made(1.0).spec(full=True)
    # tensors are not compared: such a run never goes on from another one
    assert made(torch.ones(1)).spec(full=True) != made(torch.ones(1)).spec(full=True)


def test_top1_is_the_margin_of_classes_bit_for_bit():
    y = torch.tensor([0, 1, 2])
    assert torch.equal(TOP1.margin(LOGITS, y), class_margin(LOGITS, y))
    assert torch.equal(TOP1.as_property(y, LOGITS).weights, Property.margins(y, 4).weights)
    assert str(TOP1) == "top1()"
    assert make("top1") == TOP1


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("top_k(0)", SpecError, "k=0 is not allowed; allowed is an integer ≥ 1"),
        ("confidence(1)", SpecError, "threshold=1 is not allowed; allowed is a probability between 0 and 1"),
        ("never(-1)", SpecError, "goal=-1"),
        ("binary(threshold=1e999)", SpecError, "threshold=inf is not allowed; allowed is a finite number"),
        (
            "segmentation(0)",
            SpecError,
            "share=0 is not allowed; allowed is a share of the pixels above 0 and at most 1",
        ),
        ("regression(0)", SpecError, "tolerance=0.0 is not allowed; allowed is a finite number > 0"),
        ("cross_entropy", SpecError, "an Outcome is needed here"),
    ],
)
def test_a_wrong_parameter_is_one_sentence(spec, error, words):
    with pytest.raises(error, match=words):
        make(spec, Outcome)


X = torch.rand(3, 4)


@pytest.mark.parametrize(
    ("spec", "outputs", "y", "words"),
    [
        ("top_k(4)", LOGITS, torch.tensor([0, 1, 2]), "asks for 4 of 4 classes; allowed is k from 1 to 3"),
        ("top_k(2)", LOGITS, torch.tensor([0, 1, 4]), "label 4 is out of range"),
        ("never(4)", LOGITS, torch.tensor([0, 1, 2]), "names class 4; the model has the classes 0 to 3"),
        ("binary", LOGITS, torch.tensor([0, 1, 1]), "allowed are one output and one label for each input"),
        ("binary", LOGITS[:, :1], torch.tensor([0, 1, 2]), "takes labels of 0 and 1"),
        ("multi_label", LOGITS, torch.ones(3, 3), "allowed is one output for each label"),
        ("regression(1)", LOGITS, torch.ones(3, 3), "allowed is one label for each output"),
        ("regression(1)", LOGITS, torch.full((3, 4), torch.nan), "the labels have NaN or infinite values"),
        ("segmentation(1)", LOGITS, torch.ones(3, 4).long(), "allowed are logits"),
        ("segmentation(1)", LOGITS, torch.ones(3, 4), "takes a class for each pixel"),
        ("segmentation(1)", LOGITS, -torch.ones(3, 4).long(), "label -1 is out of range"),
        ("segmentation(1, ignore=1)", LOGITS, torch.ones(3, 4).long(), "an example has no pixel that counts"),
        ("regression(1)", LOGITS / 0, torch.ones(3, 4), "NaN or infinite"),
        ("regression(1)", "logits", torch.ones(3, 4), "the model returned a str for 3 images"),
        ("regression(1)", LOGITS[:2], torch.ones(3, 4), "for 3 images; allowed are outputs"),
        ("regression(1)", LOGITS, torch.ones(2, 4), "one entry for each of 3 inputs"),
        ("regression(1)", LOGITS, [1.0, 2.0], "the labels are a list"),
    ],
)
def test_wrong_labels_and_outputs_are_one_sentence(spec, outputs, y, words):
    outcome = make(spec, Outcome)
    with pytest.raises(InputError, match=words):
        outcome.check_outputs(outputs, outcome.check_labels(X, y))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda outputs, y: 1.0, "gave float for 3 examples"),
        (lambda outputs, y: outputs, "gave torch.float32 of shape"),
        (lambda outputs, y: outputs.sum(1) / 0, "gave NaN or infinite numbers"),
        (lambda outputs, y: outputs @ y, r"failed on outputs of shape \(3, 4\) and labels of shape \(3,\)"),
    ],
)
def test_a_wrong_function_is_one_sentence(function, words):
    with pytest.raises(InputError, match=words):
        inradius.outcome(function).margin(LOGITS, torch.zeros(3))
    with pytest.raises(InputError, match="the outcome is a int; allowed is a function of two tensors"):
        inradius.outcome(3)


@pytest.mark.parametrize(
    ("outputs", "words"), [((), "outcome='binary'"), ((1,), "outcome='binary'"), ((2, 3, 3), "outcome='segmentation")]
)
def test_outputs_that_are_no_logits_name_the_outcome(outputs, words):
    def model(x):
        return x.sum().expand(len(x), *outputs)

    with pytest.raises(InputError, match=words):
        make("pgd")(model, X, torch.zeros(3, dtype=torch.int64), LINF)


def test_what_has_no_linear_rows_says_so():
    outputs = torch.randn(2, 3, 4)
    for outcome in (make("segmentation(0.5)"), inradius.outcome(lead)):
        with pytest.raises(UnsupportedError, match="certifier"):
            outcome.as_property(outputs.argmax(1), outputs)
    y = torch.zeros(2, 4, dtype=torch.int64)
    prop = make("segmentation(1)").as_property(y, outputs)
    assert torch.equal(
        prop.values(flat(outputs)).view(2, 4, 2).amin((1, 2)), make("segmentation(1)").margin(outputs, y)
    )


def test_a_function_may_write_on_what_it_is_given():
    def margin(outputs, y):
        found = outputs.gather(1, y[:, None]).squeeze(1) - 0.5
        outputs.zero_()
        y.zero_()
        return found

    torch.manual_seed(0)
    model, x, y = nn.Linear(3, 3), torch.rand(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    writing = inradius.outcome(margin)
    plain = inradius.outcome(lambda outputs, y: outputs.gather(1, y[:, None]).squeeze(1) - 0.5)
    for spec in ("pgd(steps=3)", "square(queries=20)"):
        one, other = (
            inradius.attack(model, x, y, "linf(eps=0.3)", spec, outcome=outcome) for outcome in (writing, plain)
        )
        assert torch.equal(one.success, other.success)
        assert torch.equal(one.margin, other.margin)
    assert y.tolist() == [0, 1, 2, 2, 1, 0]


class Settings:
    least = 0.0


def test_what_a_function_reads_names_a_run(monkeypatch):
    def by_class(outputs, y):
        return outputs[:, 0] - Settings.least

    def by_module(outputs, y):
        return outputs[:, 0] - settings.least

    def by_attribute(outputs, y):
        return outputs[:, 0] - by_attribute.least

    settings = types.ModuleType("settings")
    settings.least = by_attribute.least = 0.0
    outcomes = [inradius.outcome(function) for function in (by_class, by_module, by_attribute)]
    before = [outcome.spec(full=True) for outcome in outcomes]
    monkeypatch.setattr(Settings, "least", 0.5)
    settings.least = by_attribute.least = 0.5
    assert all(outcome.spec(full=True) != old for outcome, old in zip(outcomes, before, strict=True))
    again = inradius.outcome(lambda outputs, y: torch.nn.functional.softmax(outputs, 1)[:, 0] - math.exp(-1))
    assert again.spec(full=True) == again.spec(full=True)


@attrs.frozen(kw_only=True)
class Sure(Top1):
    """Top-1 with a lead."""

    def margin(self, outputs, y):
        return Top1().margin(outputs, y) - 10

    def as_property(self, y, outputs):
        rows = Top1().as_property(y, outputs)
        return attrs.evolve(rows, offsets=rows.offsets - 10)


def test_a_class_made_from_top1_is_asked_itself():
    model, x = nn.Linear(3, 3), torch.rand(6, 3)
    y = model(x).argmax(1)
    assert not make("crown", Certifier)(model, x, y, make("linf(eps=0.01)"), outcome=Sure()).certified.any()
    assert make("crown", Certifier)(model, x, y, make("linf(eps=0.0001)"), outcome=Top1()).certified.any()
    found = make("fgsm")(model, x, y, make("linf(eps=0.01)"), outcome=Sure())
    assert found.success.all()


@pytest.mark.parametrize("spec", ["top_k(2)", "binary", "multi_label", "segmentation(1)", "regression(0.1)"])
def test_no_examples_are_no_answers(spec):
    shape = {"binary": (1,), "segmentation(1)": (3, 2, 2)}.get(spec, (3,))
    model = nn.Sequential(nn.Linear(4, torch.Size(shape).numel()), nn.Unflatten(1, shape))
    labels = {"multi_label": (0, 3), "segmentation(1)": (0, 2, 2), "regression(0.1)": (0, 3)}.get(spec, (0,))
    x, y, outcome = torch.rand(0, 4), torch.zeros(labels, dtype=torch.int64), make(spec, Outcome)
    found = inradius.attack(model, x, y, "linf(eps=0.1)", "pgd(steps=2)", outcome=outcome)
    assert found.success.shape == found.margin.shape == (0,)
    assert make("interval")(model, x, y, make("linf(eps=0.1)"), outcome=outcome).certified.shape == (0,)


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int8, torch.float16, torch.float64])
def test_labels_of_any_type_are_numbers_of_regression(kind):
    outputs, y = torch.tensor([0.9, 0.5, -0.2]), torch.tensor([1, 0, 0]).to(kind)
    outcome = make("regression(0.3)", Outcome)
    assert torch.allclose(outcome.judged(outputs, y), torch.tensor([0.2, -0.2, 0.1]))
    assert torch.equal(outcome.size(outputs, y), torch.tensor([1.0, 0.5, 0.3]))
    assert outcome.size(outputs, torch.tensor([-128, 0, 0], dtype=torch.int8))[0] == 128


def test_an_attack_that_searches_ends_where_nothing_is_left():
    torch.manual_seed(0)
    model, x = nn.Linear(4, 2), torch.rand(3, 4)
    y = model(x).detach()
    found = inradius.attack(model, x, y, "linf(eps=0.5)", "bab_attack(domains=10)", outcome="regression(0.01)")
    assert found.success.all()


def test_a_function_whose_gradient_is_gone_is_one_sentence():
    def margin(outputs, y):
        shares = outputs.exp()
        found = 100 + shares.log().gather(1, y[:, None]).squeeze(1) - shares.mean(1)
        shares.zero_()
        return found

    x, y, outcome = torch.rand(3, 3), torch.tensor([0, 1, 2]), inradius.outcome(margin)
    with pytest.raises(UnsupportedError, match="writes on numbers that its own gradient needs"):
        inradius.attack(nn.Linear(3, 3), x, y, "linf(eps=0.3)", "pgd(steps=3)", outcome=outcome)
    assert inradius.attack(
        nn.Linear(3, 3), x, y, "linf(eps=0.3)", "square(queries=5)", outcome=outcome
    ).success.shape == (3,)
