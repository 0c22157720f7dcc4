"""The tables of the papers are whole, and what is wrong in a table of one's own is said in a sentence."""

import attrs
import pytest
from table_toys import TABLE, write_toy

import inradius
from inradius import InputError, SpecError
from inradius.cli import run
from inradius.recipes.named_recipe import SCALES
from inradius.reproduction.measuring import _logged
from inradius.reproduction.reproduce import reproduce
from inradius.reproduction.table import Printed, Table, names

TABLES = sorted(names())


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_part_of_a_table_is_known(name, scale):
    table = Table.of(name, scale, "files")
    assert table.rows
    assert table.place
    for row in table.rows:
        inradius.make(row.recipe.defense, inradius.Defense)
    for column in table.columns:
        if column.measure in ("attacked", "certified"):
            inradius.make(column.spec)


def test_the_papers_numbers_are_where_they_are_printed():
    cases = [
        ("fait-lambda", "FAIT, λ = 12", "AA", Printed(49.41, 0.1)),
        ("fait-lambda", "TRADES-MER, λ = 21", "clean", Printed(81.23, 0.18)),
        ("thesis-4.3", "R+FGSM", "robust", Printed(34.58, 36.06)),
        ("thesis-4.13", "cutout", "robust final", Printed(48.8, 0.79)),
        ("beta-1", "BETA-AT20", "APGD last", Printed(45.25)),
        ("thesis-4.1", "α = 10/255", "PGD-50-10", Printed(46.06)),
    ]
    for table, row, column, printed in cases:
        found = {one.name: one for one in Table.of(table).rows}
        assert found[row].printed[column] == printed


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_table_runs_to_its_end(tmp_path, name):
    """Every row, in one epoch, on few examples."""
    table, rows = Table.of(name), []
    for row in table.rows:
        short = attrs.evolve(
            row.recipe,
            options={**row.recipe.options, "epochs": 1},
            evaluated_on=f"subset({row.recipe.evaluated_on}, count=10)",
        )
        rows.append(attrs.evolve(row, recipe=short))
    found = reproduce(attrs.evolve(table, rows=tuple(rows)), folder=tmp_path, seeds=1)
    for row in rows:
        assert all(0 <= found.ours(row, c.name)[0] <= 100 for c in table.columns if c.measure != "difference")


LINES = [{"a": 0.1, "b": 0.3}, {"a": 0.4, "b": 0.9}, {"a": 0.3, "b": 0.2}, {"a": 0.2, "b": 0.9}]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ({"take": "max"}, 0.4),
        ({"take": "last"}, 0.2),
        ({"take": "last", "epochs": 3}, 0.3),
        ({"take": "last", "epochs": 9}, 0.25),
        ({"take": "at", "at": 0.25}, 0.1),
        ({"take": "at", "at": 0.3}, 0.4),
        ({"take": "at", "at": 0}, 0.1),
        # of equals the later, as for the weights that are kept
        ({"take": "where", "by": "b"}, 0.2),
        ({"take": "final", "epochs": 2}, 0.25),
    ],
)
def test_the_number_of_the_epochs(tmp_path, column, expected):
    text = TABLE.replace('take = "max"\n', "").replace('key = "under_attack/fgsm"', 'key = "a"', 1)
    table = Table.of(str(write_toy(tmp_path, text)))
    assert _logged(LINES, attrs.evolve(table.columns[3], **column)) == pytest.approx(expected)


def test_the_final_number_is_that_of_the_chosen_epoch(tmp_path):
    column = attrs.evolve(Table.of(str(write_toy(tmp_path))).columns[3], key="a", take="final", epochs=2)
    lines = [line | {"score": score} for line, score in zip(LINES, (0.1, 0.7, 0.7, 0.2), strict=True)]
    assert _logged(lines, column) == 0.3


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('title = "A toy"', "title = [", "is not TOML"),
        ('title = "A toy"', "", "the table toy has no title"),
        ("claim =", "clam =", "has the key 'clam' .did you mean claim"),
        (
            'measure = "clean"',
            'measure = "cleen"',
            "in its column 1 has measure = 'cleen'; allowed are clean, attacked",
        ),
        ('attack = { paper = "pgd()", small = "fgsm()" }', "", "in its column 2 has no attack"),
        ('weights = "last"', 'weights = "first"', "weights = 'first'; allowed are best, last"),
        ('take = "max"', 'take = "most"', "allowed are max, last, at, where, final"),
        ('of = ["best", "end"]', 'of = ["best", "and"]', "names the column 'and'; its columns are clean, robust"),
        ('of = ["best", "end"]', 'of = ["best"]', "allowed are the names of two columns"),
        ("clean = [90.5, 0.25]", "cleen = 3", "names the column 'cleen'"),
        ("clean = [90.5, 0.25]", 'clean = "3"', "in its row 1 prints '3'; allowed are a number"),
        ("clean = [90.5, 0.25]", "clean = [1, 2, 3]", "prints .1, 2, 3."),
        ('name = "proved"', 'name = "clean"', "has the column 'clean' twice"),
        ('name = "standard | plain"', 'name = "PGD"', "has the row 'PGD' twice"),
        (
            'with = { defense = "standard" }',
            "with = { defence = 3 }",
            "in its row 2 has the key 'defence' .did you mean defense",
        ),
        ("small = { lr = 0.05 }", "small = 3", "has small = 3; allowed is a table"),
        ('recipe = "RECIPE"\nwith', 'recipe = "wu2022-fay"\nwith', "'wu2022-fay' is not a known recipe"),
    ],
)
def test_what_is_wrong_in_a_table_is_said(tmp_path, before, after, message):
    assert before in TABLE
    path = write_toy(tmp_path, TABLE.replace(before, after, 1))
    with pytest.raises((SpecError, InputError), match=message):
        Table.of(str(path))


def test_tables_are_listed(capsys):
    assert run(["list", "tables", "--short"]) == 0
    assert capsys.readouterr().out.split() == TABLES
