"""The referee: attacks that cheat, and models that cannot be judged, get nothing by it, and it is said."""

import warnings

import attrs
import pytest
import torch
from bracket_toys import Corner, Cube, Exact, cloud, linear, run
from torch import nn

import inradius
from inradius.attacks.attack import Attacked


@attrs.frozen(kw_only=True)
class Cheat(inradius.Attack):
    """Answers as it likes, and calls everything a success, past the checks of the interface; ``trick`` is how."""

    trick: str = "leave"

    def perturb(self, batch, *, observe=None):
        raise NotImplementedError

    def __call__(self, model, x, y, threat, **options):
        yes, no = torch.ones(len(x), dtype=torch.bool), torch.zeros(len(x))
        away = torch.full_like(x, 100.0)
        answers = {
            "leave": away,
            "lie": torch.zeros_like(x),
            "nan": torch.full_like(x, torch.nan),
            "infinite": torch.full_like(x, torch.inf),
            "box": threat.linear_max(torch.ones_like(x), x),
            "write": torch.zeros_like(x),
        }
        if self.trick == "write":
            x.add_(away)
        return Attacked(answers[self.trick], yes, no - 1, no, no.long() + 1, yes)


@attrs.frozen(kw_only=True)
class OpenCube(Cube):
    """A cube that declares a box, and whose oracles know nothing of it."""

    bounds: tuple = (-1.0, 1.0)


@pytest.mark.parametrize("trick", ["leave", "lie", "nan", "infinite", "write"])
def test_a_cheat_breaks_nothing(tmp_path, trick):
    report = run(tmp_path, attacks=[Cheat(trick=trick)], certifiers=[], exhaustive=True)
    assert report.upper == report.clean
    found = report.summary()["attacks"][str(Cheat(trick=trick))]
    assert (
        found["rejected"]
        == report.summary()["membership"]["rejected"]
        == sum(e.correct for e in report.examples)
        + (
            # a wrong example at δ = 0 is as wrong as the cheat says
            0 if trick in ("lie", "write") else report.counts["wrong"]
        )
    )
    assert f"<b>{found['rejected']} were rejected</b>" in report.to_html()
    assert all(delta.isfinite().all() for delta in report.deltas.values())


def test_a_cheat_takes_nothing_from_others(tmp_path):
    fair = run(tmp_path / "fair", attacks=[Corner()], certifiers=[Exact()])
    mixed = run(tmp_path / "mixed", attacks=[Cheat(), Cheat(trick="write"), Corner()], certifiers=[Exact()])
    assert [e.status for e in mixed.examples] == [e.status for e in fair.examples]
    assert {e.attacked_by for e in mixed.examples} <= {"corner()", None}


def test_the_box_is_looked_at_whatever_the_set_says(tmp_path):
    data = cloud()
    report = run(tmp_path, threat=OpenCube(eps=0.2), attacks=[Cheat(trick="box")], certifiers=[], exhaustive=True)
    over = (data.inputs + 0.2 > 1).any(1) & (data.inputs <= 1).all(1)
    assert bool(over.any())
    for example in report.examples:
        if bool(over[example.row]):
            assert not example.attempts[0].inside
            assert example.attempts[0].violation > 0


def test_an_attack_that_trains_the_model_is_stopped(tmp_path):
    @attrs.frozen(kw_only=True)
    class Trainer(inradius.Attack):
        def perturb(self, batch, *, observe=None):
            victim.weight.data.mul_(0.5)
            return torch.zeros_like(batch.x)

    victim = linear()
    with pytest.raises(inradius.PluginError, match=r"trainer\(\) changed the model's weights"):
        run(tmp_path, model=victim, attacks=[Trainer()], certifiers=[])


def test_an_answer_of_another_shape_is_named(tmp_path):
    @attrs.frozen(kw_only=True)
    class Short(Cheat):
        def __call__(self, model, x, y, threat, **options):
            return Attacked(x[:1], *[torch.ones(len(x), dtype=torch.bool)] * 5)

    with pytest.raises(inradius.PluginError, match=r"short\(\) answered with torch.float64 \(1, 5\); it must be"):
        run(tmp_path, attacks=[Short()], certifiers=[])


def test_a_minimal_attack_may_answer_from_outside(tmp_path):
    @attrs.frozen(kw_only=True)
    class Far(inradius.Attack):
        minimal = True

        def perturb(self, batch, *, observe=None):
            return 3 * batch.threat.linear_max(torch.ones_like(batch.x), batch.x)

    report = run(tmp_path, attacks=[Far()], certifiers=[])
    assert report.summary()["membership"]["rejected"] == 0
    assert report.summary()["membership"]["refused"] > 0


# models that cannot be judged


class Spoiled(nn.Module):
    """A linear model with something between it and its gradient, or its numbers."""

    def __init__(self, spoil):
        super().__init__()
        self.inner, self.spoil = linear(), spoil

    def forward(self, x):
        return self.spoil(self.inner(x), x)


def bracketed(folder, spoil, attack="pgd(steps=3)"):
    data = cloud()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return inradius.bracket(
            Spoiled(spoil), data, "linf(eps=0.1, bounds=None)", attacks=attack, certifiers=[], folder=folder
        )


@attrs.frozen(kw_only=True)
class OwnGradient(inradius.Attack):
    """An attack that asks torch for the gradient itself."""

    def perturb(self, batch, *, observe=None):
        inputs = batch.x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(batch.model(inputs).sum(), inputs)
        return batch.threat.linear_max(gradient, batch.x)


def test_logits_that_are_no_numbers_end_the_run(tmp_path):
    with pytest.raises(inradius.InputError, match="NaN or infinite"):
        bracketed(tmp_path, lambda z, x: z * torch.nan)


def test_logits_that_are_no_numbers_near_the_examples_end_the_run(tmp_path):
    inputs = cloud().inputs
    seen = {tuple(row) for row in inputs.tolist()}

    def spoil(z, x):
        known = torch.tensor([tuple(row) in seen for row in x.tolist()])
        return torch.where(known[:, None], z, torch.nan)

    with pytest.raises(inradius.InputError, match="NaN or infinite"):
        bracketed(tmp_path, spoil, "fgsm")


@pytest.mark.parametrize("attack", ["pgd(steps=3)", "fgsm", OwnGradient()])
def test_a_model_without_gradient_is_no_robust_model(tmp_path, attack):
    with pytest.raises(
        inradius.UnsupportedError, match=r"gradient.*allowed for gradient attacks are models that torch differ"
    ):
        bracketed(tmp_path, lambda z, x: z.detach(), attack)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda z, x: torch.tensor([[1.0, 0.0, 0.5]], dtype=z.dtype) + 0 * z, "same logits"),
        (lambda z, x: z.round() + 0 * z, "gradient of 32 of 32 images is zero"),
        (lambda z, x: z.softmax(1), "probabilities"),
        (lambda z, x: z + 0.01 * torch.randn_like(z), "random"),
    ],
)
def test_what_makes_the_numbers_doubtful_is_said(tmp_path, spoil, said):
    report = bracketed(tmp_path, spoil)
    assert any(said in flag for flag in report.flags)
    assert report.summary()["flags"] == list(report.flags)
    assert "What makes these numbers doubtful" in report.to_html()
    assert inradius.Report.load(tmp_path).flags == report.flags


def test_a_plain_model_has_no_flags(tmp_path):
    report = bracketed(tmp_path, lambda z, x: z)
    assert report.flags == ()
    assert "doubtful" not in report.to_html()
