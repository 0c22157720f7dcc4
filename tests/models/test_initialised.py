"""Lazy modules that have not run yet are refused before anything runs, and stay as they were."""

import copy
import io

import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, Certifier, Dataset, InputError, Property, ThreatModel
from inradius.certifiers.detection import suspicious
from inradius.models.initialised import check_initialised

LAZY = {
    "linear": (lambda: nn.LazyLinear(3), (4,)),
    "convolution": (lambda: nn.LazyConv2d(3, 2), (1, 2, 2)),
    "norm": (lambda: nn.LazyBatchNorm1d(), (4,)),
    "norm without weights": (lambda: nn.LazyBatchNorm1d(affine=False), (4,)),
}
X, Y = torch.full((2, 4), 0.5), torch.tensor([0, 1])


def net(make):
    return nn.Sequential(nn.Identity(), make(), nn.Flatten()).eval()


def threat():
    return inradius.make("linf(eps=0.01)", ThreatModel)


ENTRIES = {
    "interval": lambda m: inradius.make("interval()", Certifier)(m, X, Y, threat()),
    "crown": lambda m: inradius.make("crown()", Certifier)(m, X, Y, threat()),
    "milp": lambda m: inradius.make("milp()", Certifier)(m, X, Y, threat()),
    "bound": lambda m: inradius.make("dual()", Certifier).bound(m, X, Y, threat()),
    "attack": lambda m: inradius.make("fgsm()", Attack)(m, X, Y, threat()),
    "detect": lambda m: suspicious(m, X, threat(), inradius.make("crown()", Certifier)),
    "verify": lambda m: inradius.verify(m, X[:1], threat(), Property.margins(Y[:1], 3)),
    "bracket": lambda m: inradius.bracket(m, Dataset.of(X, Y), threat()),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_refuses_a_lazy_model_in_one_sentence_and_leaves_it_as_it_was(entry):
    torch.manual_seed(0)
    model, seed = net(LAZY["linear"][0]), torch.get_rng_state()
    with pytest.raises(
        InputError, match=r"^the model has a lazy module that has not run yet, 1, a LazyLinear; run the model"
    ):
        ENTRIES[entry](model)
    assert type(model[1]) is nn.LazyLinear
    assert torch.equal(torch.get_rng_state(), seed)
    assert model(X).shape == (2, 3)


@pytest.mark.parametrize("name", LAZY)
def test_lazy_modules_are_refused_until_they_have_run(name):
    make, shape = LAZY[name]
    model = net(make)
    with pytest.raises(InputError, match="a Lazy"):
        check_initialised(model)
    with pytest.raises(InputError, match="not run yet, itself, a Lazy"):
        check_initialised(make())
    model(torch.rand(2, *shape))
    check_initialised(model)


def test_a_lazy_module_that_has_only_loaded_its_numbers_is_refused():
    ran, model = net(LAZY["linear"][0]), net(LAZY["linear"][0])
    ran(X)
    model.load_state_dict(ran.state_dict())
    with pytest.raises(InputError, match="a lazy module that has not run yet"):
        check_initialised(model)


def test_a_parameter_without_a_shape_in_any_module_is_refused():
    model = nn.Linear(2, 2)
    model.later = nn.parameter.UninitializedParameter()
    with pytest.raises(InputError, match="not run yet, itself, a Linear"):
        check_initialised(model)


def test_functions_and_copies_of_models_that_ran_are_fine():
    model = net(LAZY["linear"][0])
    model(X)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for each in (copy.deepcopy(model), torch.load(file, weights_only=False), lambda x: x, None):
        check_initialised(each)
