import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, Dataset, InputError
from inradius.bracketing.vote_interval import vote_interval
from inradius.bracketing.voting import Votes, is_random, on_means
from inradius.report import clopper_pearson

SET = "linf(eps=0.5, bounds=(-10.0, 10.0))"


class Noisy(nn.Module):
    """Two classes by the sign of a sum with noise; counts its calls."""

    def __init__(self, sigma):
        super().__init__()
        self.sigma, self.calls = sigma, 0

    def forward(self, x):
        self.calls += 1
        lead = x.flatten(1).sum(1)
        if self.sigma:
            lead = lead + self.sigma * torch.randn(len(x))
        return torch.stack([lead, -lead], 1)


def examples(leads):
    x = torch.tensor(leads)[:, None]
    return Dataset.of(x, torch.zeros(len(x), dtype=torch.int64), bounds=(-10.0, 10.0), name="leads")


def test_votes_are_the_logarithms_of_the_shares():
    torch.manual_seed(0)
    logits = Votes(Noisy(1.0), 400)(torch.tensor([[0.5], [-3.0]]))
    shares = logits.exp()
    assert torch.allclose(shares.sum(1), torch.ones(2))
    assert abs(shares[0, 0] - torch.distributions.Normal(0, 1).cdf(torch.tensor(0.5))) < 0.06
    assert logits.argmax(1).tolist() == [0, 1]


def test_a_lucky_pass_is_no_success(tmp_path):
    # leads are 1.5 and the set takes 0.5 away: one pass is wrong in a sixth of the cases, a vote never is
    torch.manual_seed(0)
    data = examples([1.5] * 40)
    one = inradius.bracket(Noisy(1.0), data, SET, attacks="fgsm", certifiers=(), votes=1, folder=tmp_path / "one")
    found = inradius.bracket(Noisy(1.0), data, SET, attacks="fgsm", certifiers=(), folder=tmp_path / "votes")
    assert one.upper < 1 == found.upper == found.clean
    assert found.setting.votes == 100
    assert list(found.setting.attacks) == ["eot(attack=fgsm())"]
    assert any("votes of 100 passes" in flag for flag in found.flags)
    assert not any(attempt.rejected for example in found.examples for attempt in example.attempts)


def test_a_deterministic_model_is_asked_once(tmp_path):
    calls = []
    for votes in (1, 500):
        model = Noisy(0.0)
        report = inradius.bracket(
            model,
            examples([1.5] * 4),
            SET,
            attacks="fgsm",
            certifiers=(),
            votes=votes,
            folder=tmp_path / str(votes),
        )
        assert report.setting.votes == 1
        assert list(report.setting.attacks) == ["fgsm()"]
        calls.append(model.calls)
    # the two passes that look for differences
    assert calls[1] == calls[0] + 2
    assert not is_random(Noisy(0.0), torch.ones(2, 1))
    assert is_random(Noisy(1.0), torch.ones(2, 1))


def test_attacks_that_take_means_stay_as_they_are():
    specs = "pgd()", "eot(pgd())", "autoattack('rand')", "inradius_suite()"
    found = on_means(inradius.make(spec, Attack) for spec in specs)
    assert [str(one).startswith("eot") for one in found] == [True, True, False, True]
    assert found[1] == inradius.make(specs[1], Attack)


def test_the_interval_widens_by_the_images_that_votes_leave_open():
    clear, open_ = [4.0] * 60 + [-4.0] * 40, [4.0] * 50 + [0.05] * 10 + [-0.05] * 10 + [-4.0] * 30
    plain, wide = clopper_pearson(60, 100), vote_interval(open_, 50)
    assert vote_interval(clear, 50) == pytest.approx(plain, abs=1e-3)
    assert wide[0] < plain[0] - 0.02
    assert wide[1] > plain[1] + 0.02
    assert vote_interval([0.7] * 100, 1000)[0] > vote_interval([0.7] * 100, 10)[0]


def test_votes_go_with_top1():
    with pytest.raises(InputError, match="allowed are votes with top1 alone"):
        inradius.bracket(Noisy(1.0), examples([1.5]), SET, attacks="fgsm", outcome="confidence(threshold=0.9)", votes=5)


class NoisyOffZero(nn.Module):
    """Two classes by the sign of a number, with noise where that is no whole number."""

    def forward(self, x):
        lead = x.flatten(1).sum(1)
        lead = torch.where(lead == lead.round(), lead, lead + torch.randn(len(x)))
        return torch.stack([lead, -lead], 1)


def test_a_model_may_be_random_where_it_is_attacked_alone(tmp_path):
    torch.manual_seed(0)
    report = inradius.bracket(
        NoisyOffZero(), examples([2.0] * 20), SET, attacks="fgsm", certifiers=(), folder=tmp_path / "run"
    )
    assert report.setting.votes == 100
    assert report.upper == 1


@pytest.mark.parametrize(
    ("lead", "votes", "told"), [(0.25, 100, True), (0.25, 1000, False), (3.0, 100, False), (1.0, 3, True)]
)
def test_many_votes_near_a_tie_are_told(tmp_path, lead, votes, told):
    # a lead of 0.25 is right in 60 % of the passes
    torch.manual_seed(0)
    report = inradius.bracket(
        Noisy(1.0),
        examples([lead] * 40),
        "linf(eps=0.0001, bounds=(-10.0, 10.0))",
        attacks="fgsm",
        certifiers=(),
        votes=votes,
        folder=tmp_path / "run",
    )
    assert any("standard deviations of a tie" in flag for flag in report.flags) == told
