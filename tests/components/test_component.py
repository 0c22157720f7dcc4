"""Components are values: frozen, comparable, hashable, and spelt as a spec that builds an equal one."""

import pickle
from functools import partial

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import inradius
from inradius import Component, InradiusError
from inradius.components import registry
from inradius.components.component import snake_case
from inradius.testing.components import spec_round_trip


@attrs.frozen(kw_only=True)
class FrankWolfe(Component):
    positional = ("steps",)

    steps: int = 10
    inner: Component | None = None
    shape: tuple[int, ...] = ()
    twice: int = attrs.field(default=attrs.Factory(lambda self: 2 * self.steps, takes_self=True))


@attrs.frozen(kw_only=True)
class Many(Component):
    name = "all_of"
    positional = ("*members",)

    members: tuple[Component, ...] = ()
    weight: float = 1.0


@pytest.mark.parametrize(
    ("name", "spelt"),
    [("PGD", "pgd"), ("FrankWolfe", "frank_wolfe"), ("Linf", "linf"), ("L2", "l2"), ("CrossEntropy", "cross_entropy")],
)
def test_the_spec_name_is_the_class_name_in_snake_case(name, spelt):
    assert snake_case(name) == spelt


@pytest.mark.parametrize(
    ("component", "short", "full"),
    [
        (FrankWolfe(), "frank_wolfe()", "frank_wolfe(steps=10, shape=(), twice=20)"),
        (FrankWolfe(steps=3), "frank_wolfe(steps=3)", "frank_wolfe(steps=3, shape=(), twice=6)"),
        (FrankWolfe(shape=(1,)), "frank_wolfe(shape=(1,))", "frank_wolfe(steps=10, shape=(1,), twice=20)"),
        (
            Many(members=(FrankWolfe(), Many()), weight=0.5),
            "all_of(frank_wolfe(), all_of(), weight=0.5)",
            "all_of(frank_wolfe(steps=10, shape=(), twice=20), all_of(weight=1.0), weight=0.5)",
        ),
    ],
)
def test_a_component_prints_as_a_spec(component, short, full):
    assert str(component) == short
    assert component.spec(full=True) == full


def test_components_are_values():
    assert FrankWolfe(steps=3) == FrankWolfe(steps=3)
    assert len({FrankWolfe(steps=3), FrankWolfe(steps=3), FrankWolfe(steps=4)}) == 2
    assert FrankWolfe() != Many()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        FrankWolfe().steps = 4
    with pytest.raises(TypeError):
        FrankWolfe(3)


def test_a_spec_may_leave_out_the_names_that_are_positional(register):
    register(attacks=[])
    table = registry.entries()
    for cls in (FrankWolfe, Many):
        table[cls.spec_name()] = registry.Entry(cls.spec_name(), Component, cls, "here")
    assert inradius.make("frank_wolfe(7)") == FrankWolfe(steps=7)
    assert inradius.make("all_of(frank_wolfe, all_of(), weight=2)") == Many(members=(FrankWolfe(), Many()), weight=2)
    spec_round_trip(Many(members=(FrankWolfe(steps=1), Many(weight=1e-300))))


# components that need more than a radius, by an example
NEEDY = {
    "confidence": "confidence(0.5)",
    "never": "never(3)",
    "regression": "regression(0.1)",
    "segmentation": "segmentation(0.9)",
    "top_k": "top_k(3)",
    "affine": "affine('colour', eps=0.1)",
    "attack_cascade": "attack_cascade(fgsm(), pgd())",
    "box": "box(lo=-0.1, hi=0.2)",
    "eot": "eot(pgd())",
    "intersection": "intersection(linf(eps=0.1), l2(eps=0.5))",
    "l0": "l0(3)",
    "patch": "patch(2)",
    "restarts": "restarts(pgd())",
    "transfer": "transfer(fgsm(), model='mlp(6, 3)')",
    "hat": "hat(model='mlp(6, 3)')",
    "union": "union(linf(eps=0.1), l2(eps=0.5))",
    "if_zero_gradient": "if_zero_gradient(square())",
    "on_grid": "on_grid(pgd())",
    "worst": "worst(fgsm(), pgd())",
    "worst_part": "worst_part(pgd())",
}


# made where the library is installed; tests/plugins/adapters/test_adapters.py makes them with stand-ins
ADAPTED = {"adv_lib", "art", "foolbox", "torchattacks"}


def components():
    return sorted(name for name, entry in registry.entries().items() if issubclass(entry.kind, Component))


@pytest.mark.parametrize("name", [name for name in components() if name not in ADAPTED])
@given(data=st.data())
def test_every_registered_component_makes_the_round_trip(name, data):
    cls = registry.entries()[name].build
    build = partial(attrs.evolve, inradius.make(NEEDY[name])) if name in NEEDY else cls
    numbers = [f.name for f in attrs.fields(cls) if isinstance(f.default, float) or f.name == "eps"]
    # a radius without a default is always given, other numbers now and then
    chosen = [n for n in numbers if n == "eps" or data.draw(st.booleans())]
    try:
        component = build(**{n: data.draw(st.floats(0, 4), label=n) for n in chosen})
    except (ValueError, InradiusError):
        assume(False)
    spec_round_trip(component)
    assert pickle.loads(pickle.dumps(component)) == component


@pytest.mark.parametrize("name", components())
def test_every_registered_component_explains_itself(name):
    cls = registry.entries()[name].build
    assert cls.__doc__, f"{name} has no docstring"
    assert not cls.__doc__.startswith(f"{cls.__name__}("), f"{name} has no docstring of its own"
