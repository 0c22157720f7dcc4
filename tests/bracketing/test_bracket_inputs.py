"""Bad input: one sentence that says what was given, what is wrong, and what is allowed."""

import attrs
import pytest
import torch
from bracket_toys import Corner, Cube, Exact, cloud, linear
from torch import nn

import inradius


def run(folder, *, model=None, data=None, **options):
    options = {"attacks": [Corner()], "certifiers": [Exact()], **options}
    return inradius.bracket(
        model or linear(), cloud(20) if data is None else data, Cube(eps=0.1), folder=folder, **options
    )


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return torch.full((len(x), 3), self.value, dtype=x.dtype)


def spoiled(value):
    data = cloud(20)
    data.inputs[3, 1] = value
    return data


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audit": 1.5}, "audit=1.5 .* between 0 and 1"),
        ({"audit": True}, "audit=True"),
        ({"union": "all"}, "union='all' .* 'each' and 'hull'"),
        ({"batch_size": 0}, "batch_size=0 .* integer ≥ 1"),
        ({"seed": 0.5}, "seed=0.5 .* integer"),
        ({"exhaustive": 1}, "exhaustive=1 .* True and False"),
        ({"attacks": [Corner(), Corner()]}, r"corner\(\) more than once"),
        ({"device": "nowhere"}, "device 'nowhere' cannot be used"),
        ({"model": Constant(float("nan"))}, "NaN or infinite"),
        ({"model": nn.Linear(4, 3, dtype=torch.float64)}, r"inputs of shape \(5,\)"),
        ({"model": linear(torch.float32)}, r"model.to\(torch.float64\)"),
        ({"data": spoiled(float("nan"))}, "input 3 has NaN"),
        ({"data": spoiled(float("inf"))}, "input 3 has NaN or infinite"),
        ({"data": attrs.evolve(cloud(20), labels=torch.full((20,), 3))}, "label 3 is out of range"),
        ({"data": attrs.evolve(cloud(20), labels=torch.full((20,), -1))}, "label -1 is out of range"),
        ({"data": attrs.evolve(cloud(20), index=torch.arange(3))}, "numbers of shape"),
        ({"data": cloud(20).select(slice(0, 0))}, "no examples"),
        ({"model": torch.sin}, "allowed is a torch.nn.Module"),
    ],
)
def test_bad_input_is_named(tmp_path, options, message):
    with pytest.raises(inradius.InputError, match=message) as caught:
        run(tmp_path / "run", **options)
    assert "\n" not in str(caught.value)


def test_data_of_another_kind(tmp_path):
    for data, told in (((1, 2), "are one number"), ((1, 2, 3), "the data are a tuple")):
        with pytest.raises(inradius.InputError, match=told):
            inradius.bracket(linear(), data, Cube(eps=0.1), attacks=[], certifiers=[], folder=tmp_path)


def test_a_spec_of_the_wrong_kind(tmp_path):
    with pytest.raises(inradius.SpecError, match="Certifier is needed"):
        run(tmp_path, certifiers=["cross_entropy()"])
    with pytest.raises(inradius.SpecError, match="Attack is needed"):
        run(tmp_path, attacks=[Exact()])


def test_an_unwritable_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")

    @attrs.frozen(kw_only=True)
    class Never(inradius.Attack):
        def perturb(self, batch, *, observe=None):
            raise AssertionError

    with pytest.raises(inradius.InputError, match=r"cannot be written .* give one where you may create files"):
        run(tmp_path / "file" / "run", attacks=[Never()])


def test_a_certifier_of_another_function_needs_a_bracket_of_its_own(tmp_path):
    @attrs.frozen(kw_only=True)
    class Twice(Exact):
        def subject(self, model):
            return nn.Sequential(model)

    with pytest.raises(inradius.UnsupportedError, match="one bracket for each"):
        run(tmp_path, certifiers=[Exact(), Twice()])


def test_the_attacked_function_is_the_certified_one(tmp_path):
    """A certifier of the negated model: its subject is attacked, and its clean predictions count."""

    class Negated(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.weight, self.bias = nn.Parameter(-model.weight.data), nn.Parameter(-model.bias.data)

        def forward(self, x):
            return nn.functional.linear(x, self.weight, self.bias)

    @attrs.frozen(kw_only=True)
    class Other(Exact):
        def subject(self, model):
            return Negated(model)

        def lower_bound(self, model, x, threat, prop, rng):
            return Exact.lower_bound(self, Negated(model), x, threat, prop, rng)

    data = cloud(20)
    report = run(tmp_path, certifiers=[Other()])
    predicted = (-linear()(data.inputs)).argmax(1)
    assert [e.predicted for e in report.examples] == predicted.tolist()
    assert report.lower == report.upper
