"""The line that shows how far a search is."""

import io

import torch
from torch import nn

import inradius
from inradius import Certifier, ThreatModel
from inradius.certifiers.search_progress import SearchProgress, listening
from inradius.cli import search_line
from inradius.cli.search_line import SearchLine


def searched():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 3)).eval()
    x = torch.rand(1, 6)
    for weights in model.parameters():
        weights.data *= 2
    certifier = inradius.make("branch_and_bound(domains=400)", Certifier)
    return certifier(model, x, model(x).argmax(1), inradius.make("l2(eps=0.08, bounds=None)", ThreatModel))


def test_a_search_tells_how_many_parts_it_has_bounded():
    told = []
    with listening(told.append):
        searched()
    visited = [each.visited for each in told]
    assert visited
    assert visited == sorted(visited)
    assert all(each.open >= 0 for each in told)
    told.clear()
    searched()
    assert not told


def test_the_line_is_cleared_at_the_end(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    monkeypatch.setattr("sys.stderr", out)
    with search_line.search_line():
        searched()
    assert " parts of the set bounded, " in out.getvalue()
    assert out.getvalue().endswith("\r\x1b[K")


def test_nothing_is_drawn_where_standard_error_is_no_terminal(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    with search_line.search_line():
        searched()
    assert out.getvalue() == ""


def test_the_line_is_drawn_a_few_times_a_second(monkeypatch):
    monkeypatch.setattr(search_line.time, "monotonic", iter([0.0, 0.1, 0.2, 0.3]).__next__)
    line = SearchLine(io.StringIO(), start=0.0)
    for visited in range(4):
        line(SearchProgress(visited, 0))
    assert [part[:7] for part in line.out.getvalue().split("\r\x1b[K")[1:]] == ["0 s: 0 ", "0 s: 3 "]
