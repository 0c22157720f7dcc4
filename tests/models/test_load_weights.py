"""Weights that others saved fill a model: nested, renamed by wrappers, with or without normalisation; nothing of theirs runs."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from inradius import InputError, Normalize
from inradius.models.load import load_weights


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2))


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.normalize = Normalize(mean=0.5, std=0.25)
        self.model = network()

    def forward(self, x):
        return self.model(self.normalize(x))


@pytest.fixture
def state():
    torch.manual_seed(3)
    return network().state_dict()


def prefixed(state, prefix):
    return {prefix + name: value for name, value in state.items()}


def fills(model, inner, state):
    assert not model.training
    return all(torch.equal(value, state[name]) for name, value in inner.state_dict().items())


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model.", "_orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize(
    "nest", [(), ("state_dict",), ("model",), ("net",), ("model_state_dict",), ("model", "state_dict")]
)
def test_names_of_wrappers_and_nests_are_seen_through(tmp_path, state, prefix, nest):
    content = prefixed(state, prefix)
    for key in nest:
        content = {"epoch": 3, key: content, "optimizer": {"lr": 0.1}}
    torch.save(content, tmp_path / "w.pt")
    model = load_weights(network(), tmp_path / "w.pt")
    assert fills(model, model, state)


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
def test_a_network_behind_its_normalisation_is_filled(tmp_path, state, prefix):
    save_file(prefixed(state, prefix), tmp_path / "w.safetensors")
    chain = load_weights(nn.Sequential(Normalize(mean=0.5, std=0.25), network()), tmp_path / "w.safetensors")
    assert fills(chain, chain[1], state)
    assert chain[0].mean == 0.5
    model = load_weights(Wrapped(), tmp_path / "w.safetensors")
    assert fills(model, model.model, state)


def test_the_normalisation_of_the_file_counts_where_there_is_one(tmp_path, state):
    other = Wrapped()
    other.normalize = Normalize(mean=0.1, std=0.2)
    torch.save({"state_dict": prefixed(other.state_dict(), "module.")}, tmp_path / "w.pth.tar")
    model = load_weights(Wrapped(), tmp_path / "w.pth.tar")
    assert fills(model, model, other.state_dict())
    assert model.normalize.mean == pytest.approx(0.1)


def test_what_does_not_fit_is_named_by_the_names_that_fit_best(tmp_path, state):
    torch.save(
        prefixed({name: value for name, value in state.items() if name != "1.bias"}, "module."), tmp_path / "w.pt"
    )
    with pytest.raises(InputError, match=r"do not fit Sequential: the file lacks 1\.bias$"):
        load_weights(network(), tmp_path / "w.pt")
    torch.save(prefixed(state | {"9.weight": torch.zeros(1)}, "module."), tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"the file has the unknown 9\.weight$"):
        load_weights(network(), tmp_path / "w.pt")
    torch.save(state | {"1.bias": torch.zeros(5)}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"has 1\.bias of shape \(5,\) where \(4,\) is needed"):
        load_weights(network(), tmp_path / "w.pt")


def test_names_that_are_no_wrappers_are_not_dropped(tmp_path, state):
    torch.save(prefixed(state, "teacher."), tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"lacks 1\.weight, 1\.bias, .* has the unknown teacher\.1\.weight"):
        load_weights(network(), tmp_path / "w.pt")


class Object:
    pass


def test_objects_in_a_pickle_are_not_made(tmp_path):
    torch.save({"state_dict": {}, "best": Object()}, tmp_path / "w.ckpt")
    with pytest.raises(InputError, match="cannot be read without running code from the file"):
        load_weights(network(), tmp_path / "w.ckpt")


def test_a_dict_of_something_else_says_where_weights_are_looked_for(tmp_path):
    torch.save({"epoch": 3, "model": {"a": 1}}, tmp_path / "w.pt")
    with pytest.raises(
        InputError, match=r"allowed is a dict of tensors, also one under the key 'state_dict', .* 'weights'"
    ):
        load_weights(network(), tmp_path / "w.pt")


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_dict_that_holds_itself_is_refused(tmp_path, state, key):
    content = dict(state)
    content[key] = content
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match="holds no state dict"):
        load_weights(network(), tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("kind", "name"), [(torch.int64, "int64"), (torch.complex64, "complex64"), (torch.bool, "bool")]
)
@pytest.mark.parametrize("end", [".pt", ".safetensors"])
def test_numbers_of_another_kind_are_refused(tmp_path, state, kind, name, end):
    changed = state | {"1.weight": state["1.weight"].to(kind)}
    (torch.save if end == ".pt" else save_file)(changed, tmp_path / f"w{end}")
    before = network()
    with pytest.raises(InputError, match=rf"1\.weight is {name} where float32 is needed"):
        load_weights(before, tmp_path / f"w{end}")
    save_file(state | {"3.num_batches_tracked": torch.tensor(0.5)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"num_batches_tracked is float32 where int64 is needed"):
        load_weights(before, tmp_path / "w.safetensors")


def test_numbers_that_the_type_cannot_hold_are_refused(tmp_path, state):
    large = state["1.weight"].double()
    large[0, 0] = 1e300
    save_file(state | {"1.weight": large}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"1\.weight has a number that is infinite in float32"):
        load_weights(network(), tmp_path / "w.safetensors")
    doubled = {name: value.double() if value.is_floating_point() else value for name, value in state.items()}
    save_file(doubled, tmp_path / "w.safetensors")
    model = load_weights(network(), tmp_path / "w.safetensors")
    assert fills(model, model, state)
    load_weights(network().double(), tmp_path / "w.safetensors")
