"""Two reports of the same examples: the changes are those of the examples, and the test is McNemar's."""

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import InputError
from inradius.cli import run
from inradius.report.comparison import compare, exact_mcnemar, to_markdown


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_p_value_is_that_of_a_fair_coin(gained, lost):
    from scipy.stats import binomtest

    wanted = binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1.0
    assert exact_mcnemar(gained, lost) == pytest.approx(wanted, rel=1e-9)
    assert exact_mcnemar(gained, lost) == exact_mcnemar(lost, gained)


def test_many_changes_have_a_p_value():
    assert exact_mcnemar(6000, 6000) == 1
    assert 0 <= exact_mcnemar(0, 3000) < 1e-300


@pytest.fixture
def two(tmp_path):
    """Reports of two networks on the same examples."""
    x, y = torch.rand(30, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
        found.append(
            inradius.bracket(
                model, (x, y), "linf(eps=0.02)", attacks="fgsm", certifiers="interval", folder=tmp_path / str(seed)
            )
        )
    return found


def test_changes_are_those_of_the_examples(two):
    before, after = two
    for change, name in zip(compare(before, after), ("clean", "upper", "lower"), strict=True):
        assert (change.before, change.after) == (getattr(before, name), getattr(after, name))
        assert len(change.gained) - len(change.lost) == round(30 * (change.after - change.before))
        assert not set(change.gained) & set(change.lost)
    back = compare(after, before)
    assert [(c.gained, c.lost) for c in back] == [(c.lost, c.gained) for c in compare(before, after)]
    assert all(c.p == 1 and not c.gained and not c.lost for c in compare(before, before))


def test_the_command_prints_markdown(two, tmp_path, capsys):
    before, after = (str(tmp_path / str(n)) for n in range(2))
    assert run(["compare", before, after]) == 0
    out = capsys.readouterr().out
    assert "| certified |" in out
    assert out.strip() == to_markdown(*two).strip()
    assert "differ" not in out
    fell = any(c.after < c.before for c in compare(*two))
    assert run(["compare", before, after, "--fail-below", "1"]) == int(fell)
    assert run(["compare", after, before, "--fail-below", "1"]) == int(any(c.after > c.before for c in compare(*two)))
    assert run(["compare", before, str(tmp_path / "absent")]) == 2


def test_other_questions_do_not_compare(two, tmp_path):
    x, y = torch.rand(30, 4), torch.arange(30) % 3
    asked = {"attacks": "pgd(steps=2)", "certifiers": [], "folder": tmp_path / "other"}
    with pytest.raises(InputError, match="the two reports have other data"):
        compare(two[0], inradius.bracket(nn.Linear(4, 3), (x, y), "linf(eps=0.02)", **asked))
    x = torch.rand(30, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="have other sets"):
        compare(two[0], inradius.bracket(nn.Linear(4, 3), (x, y), "linf(eps=0.01)", **asked, fresh=True))
    same = inradius.bracket(nn.Linear(4, 3), (x, y), "linf(eps=0.02)", **asked, fresh=True)
    assert "The attacks differ, so that a change may be theirs" in to_markdown(two[0], same)
    assert [change.name for change in compare(two[0], same)] == ["clean", "under attack"]


def test_examples_of_one_number_are_told_apart(tmp_path):
    torch.manual_seed(0)
    model, x = nn.Linear(3, 3), torch.rand(20, 3)
    data = attrs.evolve(inradius.Dataset.of(x, model(x).argmax(1)), index=torch.arange(20) // 5)
    report = inradius.bracket(model, data, "linf(eps=0.1)", attacks="fgsm", certifiers=[], folder=tmp_path)
    assert 0 < report.upper < 1
    assert all(not (change.gained or change.lost) for change in compare(report, report))
