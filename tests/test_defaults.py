"""The page of defaults says what the code has, of components that exist, and pins them."""

import re
from pathlib import Path

import attrs
import pytest
import torch

import inradius
from inradius.components.component import spell
from inradius.components.registry import find
from inradius.training.recipe import Recipe

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "defaults.md"
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| `([^`]+)` \|", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text("utf-8"))


@pytest.mark.parametrize(("name", "parameter", "told"), ROWS, ids=[f"{row[0]}-{row[1]}" for row in ROWS])
def test_the_page_has_the_code_s_default(name, parameter, told):
    field = attrs.fields_dict(find(name).build)[parameter]
    default = field.default
    if isinstance(default, attrs.Factory):
        default = default.factory(inradius.make(name)) if default.takes_self else default.factory()
    assert spell(default) == told


def test_the_page_has_many_rows_and_none_twice():
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert len(lines) == len(ROWS) >= 110
    assert len({row[:2] for row in ROWS}) == len(ROWS)


def test_the_page_is_right_about_momentum_and_weight_decay():
    weights = [torch.nn.Parameter(torch.zeros(1))]
    usual = Recipe(optimizer="sgd").optimise(weights).defaults
    assert (usual["momentum"], usual["weight_decay"]) == (0.9, 0.0)
    assert Recipe(optimizer="sgd", momentum=0.0).optimise(weights).defaults["momentum"] == 0.0
    assert "momentum" not in Recipe(optimizer="adam").optimise(weights).defaults


@pytest.mark.parametrize(("optimizer", "momentum"), [("adam", 0.9), ("sgd", 1.0), ("sgd", -0.1), ("sgd", True)])
def test_momentum_that_cannot_be_is_refused(optimizer, momentum):
    with pytest.raises(ValueError, match="momentum="):
        Recipe(optimizer=optimizer, momentum=momentum)
