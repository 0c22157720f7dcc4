"""Transfer: a surrogate enters by name and by the content of its files, and the model is asked once."""

import pytest
import torch
from gradient_cases import images, threat_of
from safetensors.torch import save_file
from torch import nn

import inradius
from inradius import Attack, InputError, SpecError

FACTORY = """
from torch import nn


def factory():
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
"""


@pytest.fixture
def surrogate(tmp_path):
    """A network that is written to a file, with the file of its weights."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        # so that every class is predicted somewhere
        model[2].bias -= model(images(100).float()).mean(0)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "net.py").write_text(FACTORY)
    return model.eval(), f"{tmp_path / 'net.py'}:factory", str(tmp_path / "weights.safetensors")


def case(model, dtype=torch.float32):
    x = images(12).to(dtype)
    with torch.no_grad():
        return x, model.to(dtype)(x).argmax(1)


@pytest.mark.parametrize("attack", ["pgd(steps=5, seed=3)", "square(queries=60)", "fgsm()"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_itself_it_is_the_attack_at_one_query(attack, dtype, surrogate):
    model, spec, weights = surrogate
    x, y = case(model, dtype)
    transfer = inradius.make(f"transfer({attack}, model={spec!r}, weights={weights!r})", Attack)
    found = transfer(model, x, y, threat_of("linf(eps=0.2)"))
    assert found.success.any()
    assert (found.queries == 1).all()
    assert found.inside.all()
    assert torch.equal(found.delta, transfer(model, x, y, threat_of("linf(eps=0.2)")).delta)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_another_model_is_fooled_less(surrogate):
    model, spec, weights = surrogate
    torch.manual_seed(1)
    other = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    x, y = case(model)
    transfer = inradius.make(f"transfer(pgd(steps=10), model={spec!r}, weights={weights!r})", Attack)
    threat = threat_of("linf(eps=0.2)")
    found = transfer(other, x, y, threat)
    assert torch.equal(found.delta, transfer(model, x, y, threat).delta)
    assert torch.equal(found.success, other(x + found.delta).argmax(1) != y)


def test_its_spec_has_the_hashes_of_its_files(surrogate):
    _, spec, weights = surrogate
    transfer = inradius.make(f"transfer(pgd(), model={spec!r}, weights={weights!r})", Attack)
    assert str(transfer).count("#sha256=") == 2
    assert inradius.make(str(transfer), Attack) == transfer
    assert "sha256" not in str(inradius.make("transfer(pgd(), model='mnist_small_standard()')", Attack))


@pytest.mark.parametrize("which", [1, 2])
def test_a_file_that_has_changed_is_another_surrogate(which, surrogate):
    model, spec, weights = surrogate
    transfer = inradius.make(f"transfer(pgd(), model={spec!r}, weights={weights!r})", Attack)
    file = surrogate[which].removesuffix(":factory")
    with open(file, "ab") as stream:
        stream.write(b"\n")
    with pytest.raises((InputError, SpecError), match="has changed since"):
        inradius.make(str(transfer), Attack)
    with pytest.raises(InputError, match="has changed since"):
        transfer(model, *case(model), threat_of("linf(eps=0.2)"))


def test_a_missing_file_is_one_sentence(tmp_path):
    for parameters in (f"weights={str(tmp_path / 'no.pt')!r}", f"model={str(tmp_path / 'no.py') + ':net'!r}"):
        extra = "" if "model" in parameters else "model='mnist_small()', "
        with pytest.raises((InputError, SpecError), match="there is no file") as caught:
            inradius.make(f"transfer(pgd(), {extra}{parameters})", Attack)
        assert "\n" not in str(caught.value)


def test_a_goal_reaches_the_attack(surrogate):
    model, spec, weights = surrogate
    x, y = case(model)
    goal = (y + 1) % 3
    transfer = inradius.make(f"transfer(pgd(steps=20), model={spec!r}, weights={weights!r})", Attack)
    found = transfer(model, x, y, threat_of("linf(eps=0.5)"), goal=goal)
    assert torch.equal(found.success, model(x + found.delta).argmax(1) == goal)
    assert found.success.any()


def test_the_answer_of_a_minimal_attack_is_projected(surrogate):
    model, spec, weights = surrogate
    x, y = case(model)
    transfer = inradius.make(f"transfer(boundary(queries=60), model={spec!r}, weights={weights!r})", Attack)
    assert transfer(model, x, y, threat_of("l2(eps=0.01)")).inside.all()
