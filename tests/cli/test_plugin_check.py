"""``inradius plugins --check`` runs the laws of what a plugin brings, prints a table, and ends with 1 where one is broken."""

import re

import pytest
from cli_cases import complaint

from inradius import Attack, PluginWarning, make
from inradius.cli import run
from inradius.components.contents import contents
from inradius.components.plugins import installed
from inradius.testing.plugin_cases import plugin_cases

CODE = """
import attrs, torch, inradius
from torch import nn
from inradius import LayerRule

@attrs.frozen(kw_only=True)
class Corner(inradius.Attack):
    def perturb(self, batch, *, observe=None):
        return batch.threat.linear_max(torch.ones_like(batch.x), batch.x)

@attrs.frozen(kw_only=True)
class Beyond(Corner):
    far: float
    def perturb(self, batch, *, observe=None):
        return torch.full_like(batch.x, self.far)

class Same(nn.Module):
    def forward(self, z):
        return z

class SameRule(LayerRule):
    affine = True
    def interval(self, op, lower, upper):
        return lower, upper

@inradius.hookimpl
def attacks():
    return [Corner, Beyond]

@inradius.hookimpl
def layer_rules():
    return {Same: SameRule()}

@inradius.hookimpl
def law_cases():
    return CASES
"""
WHOLE = "{'corner(seed=1)': {'threat': 'l1(eps=1)'}, 'beyond(far=0.0)': {}, Same(): {'in_shape': (3,)}}"


def rows(text):
    return [line.split(maxsplit=2) for line in text.splitlines()]


def test_all_laws_hold(install, capsys):
    install("acme", "1.0", CODE.replace("CASES", WHOLE))
    assert run(["plugins", "--check", "acme", "--examples", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {row[0] for row in rows("\n".join(lines[1:-1]))} == {"corner(seed=1)", "beyond(far=0.0)", "Same"}
    assert all(line.split()[-1] == "holds" for line in lines[1:-1])
    assert lines[-1] == f"all {len(lines) - 2} laws hold"


def test_a_broken_law_is_told_in_its_line(install, capsys):
    install("acme", "1.0", CODE.replace("CASES", WHOLE.replace("far=0.0", "far=2.0")))
    assert run(["plugins", "--check", "acme", "--examples", "2"]) == 1
    found = capsys.readouterr().out
    # a long cell goes on in the next line
    told = [line for line in found.splitlines() if line.startswith("beyond(far=2.0)") and "answers_are_inside" in line]
    assert len(told) == 1
    assert not told[0].endswith("holds")
    assert found.splitlines()[-1].endswith("laws are broken")


def test_what_needs_parameters_and_has_no_case_is_not_taken_for_right(install, capsys):
    install("acme", "1.0", CODE.replace("CASES", "{}"))
    assert run(["plugins", "--check", "acme", "--examples", "1"]) == 1
    found = {row[0]: row for row in rows(capsys.readouterr().out) if len(row) > 1 and row[1] == "has_a_case"}
    assert set(found) == {"beyond", "Same"}


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ("{'corner': {'set': 'l1(eps=1)'}}", "PluginError: the case corner has wrong arguments"),
        ("{'corner': {'threat': 'l1(eps=-1)'}}", "SpecError: l1: eps=-1"),
    ],
)
def test_a_wrong_case_is_told_in_its_line(install, capsys, cases, said):
    install("acme", "1.0", CODE.replace("CASES", cases))
    assert run(["plugins", "--check", "acme", "--examples", "1"]) == 1
    assert said in " ".join(capsys.readouterr().out.split())


def test_a_law_is_left_out_by_its_name(install, capsys):
    cases = WHOLE.replace("'beyond(far=0.0)': {}", "'beyond(far=2.0)': {'without': ['answers_are_inside']}")
    install("acme", "1.0", CODE.replace("CASES", cases))
    assert run(["plugins", "--check", "acme", "--examples", "1"]) == 1
    assert ["beyond(far=2.0)", "answers_are_inside"] not in [row[:2] for row in rows(capsys.readouterr().out)]


def test_what_needs_a_library_that_is_missing_is_not_checked(install, capsys):
    code = CODE.replace(
        "class Beyond(Corner):",
        """class Absent(Corner):
    def __attrs_post_init__(self):
        raise inradius.UnsupportedError("absent needs the package nobody")

class Beyond(Corner):""",
    ).replace("[Corner, Beyond]", "[Corner, Absent]")
    install("acme", "1.0", code.replace("CASES", "{'absent()': {}, Same(): {'in_shape': (3,)}}"))
    assert run(["plugins", "--check", "acme", "--examples", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = (line for line in lines if line.startswith("absent()"))
    assert row.rstrip().endswith("not checked: absent needs the package nobody")
    assert lines[-1] == "not checked, since they cannot be made here: 1"


@pytest.mark.parametrize("plugin", ["combinators", "adapters", "bounds"])
def test_everything_that_a_plugin_of_ours_brings_has_a_case(plugin):
    assert [str(case) for case in plugin_cases(plugin) if case.problem] == []


def test_what_refuses_to_be_made_without_parameters_has_no_case(install):
    code = CODE.replace(
        "    far: float\n", "    def __attrs_post_init__(self):\n        raise inradius.InputError('0 members')\n"
    )
    install("acme", "1.0", code.replace("self.far", "0.0").replace("CASES", "{}"))
    assert {str(case) for case in plugin_cases("acme") if case.problem} == {"beyond", "Same"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "'nobody' is no installed plugin; installed are .*gradient"),
        ("inradius", "the distribution 'inradius' has the plugins .*; name one of them"),
    ],
)
def test_an_unknown_plugin_is_a_sentence(host, capsys, name, said):
    assert re.search(said, complaint(capsys, "plugins", "--check", name))


def test_a_plugin_that_is_left_out_is_a_sentence(install, capsys):
    install("acme", "1.0", "1 / 0")
    with pytest.warns(PluginWarning):
        installed()
    assert "the plugin 'acme' is left out: ZeroDivisionError" in complaint(capsys, "plugins", "--check", "acme")


def test_cases_that_are_none_are_left_out_with_a_warning(install, capsys):
    install("acme", "1.0", CODE.replace("CASES", "3"))
    with pytest.warns(PluginWarning, match="answers the hook law_cases with 3; allowed are arguments"):
        contents("acme")


def test_cases_that_fail_leave_the_plugin_working(install, capsys):
    """Only the check asks for cases, so that what they import need not be installed where the plugin is used."""
    install("acme", "1.0", CODE.replace("return CASES", "import library_of_nobody"))
    assert isinstance(make("corner()"), Attack)
    assert all(plugin.failure is None for plugin in installed())
    said = complaint(capsys, "plugins", "--check", "acme")
    assert (
        "the hook law_cases of the plugin 'acme' fails with ModuleNotFoundError: No module named 'library_of_nobody'"
        in said
    )
