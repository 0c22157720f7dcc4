"""The spec language reads calls, numbers, strings and tuples, and nothing else."""

import contextlib
import math

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inradius import Component, SpecError
from inradius.components.component import spell
from inradius.components.spec import Call, parse

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in {"and", "as", "if", "in", "is", "or", "for", "not", "def", "del", "try", "pass", "from"}
)
FLAT = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
)
VALUES = st.recursive(FLAT, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)


@attrs.frozen(kw_only=True)
class Thing(Component):
    name = "thing"
    value: object = None


@given(NAMES, st.dictionaries(NAMES, VALUES, max_size=3))
def test_what_is_spelt_is_read_again(name, values):
    text = f"{name}({', '.join(f'{key}={spell(value)}' for key, value in values.items())})"
    assert parse(text) == Call(name, (), tuple(values.items()))


@given(VALUES)
@example(value=-math.inf)
def test_a_component_spells_its_values(value):
    thing = Thing(value=value)
    expected = Call("thing", (), (("value", value),)) if value is not None else Call("thing")
    assert parse(str(thing)) == expected
    assert parse(thing.spec(full=True)) == expected


@given(st.integers(-1000, 1000), st.integers(1, 1000))
def test_numbers_may_be_calculated(a, b):
    assert dict(parse(f"f(v={a}/{b} + {a} * {b} - {b})").kwargs)["v"] == a / b + a * b - b


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("linf", Call("linf")),
        (" linf( ) ", Call("linf")),
        ("linf(eps=8/255)", Call("linf", (), (("eps", 8 / 255),))),
        ("npz:/tmp/a file.npz", Call("npz", ("/tmp/a file.npz",))),
        ("npz:x(1).npz", Call("npz", ("x(1).npz",))),
        ("union(linf(eps=1), l2)", Call("union", (Call("linf", (), (("eps", 1),)), Call("l2")))),
        ("f([1, (2,)], None, True, 'a')", Call("f", ((1, (2,)), None, True, "a"))),
        ("f(-1, -.5)", Call("f", (-1, -0.5))),
        ("f(1e999)", Call("f", (math.inf,))),
    ],
)
def test_a_spec_is_read(text, call):
    assert parse(text) == call


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "is not a spec; write name(parameter=value, ...)"),
        ("linf(", "is not a spec; write name(parameter=value, ...)"),
        ("linf(eps=)", "is not a spec"),
        ("linf eps", "is not a spec"),
        ("linf(\0)", "is not a spec"),
        ("(" * 500 + ")" * 500, "is not a spec"),
        ("f(" + "1" * 5000 + ")", "is not a spec"),
        ("f(" + "+".join(["1"] * 5000) + ")", "is not a spec"),
        ("3", "is a value, not a component"),
        ("'linf'", "is a value, not a component"),
        ("(linf, l2)", "is a value, not a component"),
        ("linf(eps=1, eps=2)", "eps is given twice"),
        ("linf(**x)", "is not part of the spec language"),
        ("linf(*x)", "is not part of the spec language"),
        ("linf.eps", "is not part of the spec language"),
        ("a.b(1)", "is not part of the spec language"),
        ("f(x[0])", "is not part of the spec language"),
        ("f(lambda: 1)", "is not part of the spec language"),
        ("f({1: 2})", "is not part of the spec language"),
        ("f(2**9)", "is not part of the spec language"),
        ("f(1 if 2 else 3)", "is not part of the spec language"),
        ("f(b'a')", "is not part of the spec language"),
        ("f(1j)", "is not part of the spec language"),
        ("f(x := 1)", "is not part of the spec language"),
        ("f(" + "+".join(["1"] * 600) + ")", "is not a spec"),
        ("f('a' * 9)", "arithmetic needs numbers"),
        ("f(-linf)", "arithmetic needs numbers"),
        ("f(True + 1)", "arithmetic needs numbers"),
        ("f(1/0)", "divides by zero or overflows"),
        ("f(" + "9" * 400 + "/3.0)", "divides by zero or overflows"),
    ],
)
def test_what_is_not_a_spec_is_an_error_that_says_so(text, fragment):
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_call_or_a_spec_error(text):
    with contextlib.suppress(SpecError):
        assert isinstance(parse(text), Call)
