"""Defenses that compare predictions, in runs: what training with them changes, their specs, and the network beside HAT's."""

import re
from pathlib import Path

import attrs
import pytest
import torch
from distance_cases import ATTACK, LINF, SPECS, batch, engine, losses, network
from torch import nn

import inradius
from inradius import Attack, Defense, SpecError
from inradius.testing import check_defense
from inradius.training.losses import entropy, kl_divergence


@pytest.mark.parametrize("spec", [*SPECS, "fait(psi='squares', attack=pgd(steps=4, keep_maximising=True))"])
def test_specs_build_equal_defenses(spec):
    defense = inradius.make(spec, Defense)
    assert inradius.make(str(defense)) == defense == inradius.make(defense.spec(full=True))
    assert "attack" in str(defense) or "attack" not in spec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("trades(beta=-1)", "beta=-1.0 is not allowed; allowed is a finite number ≥ 0"),
        ("trades(attack=interval())", "attack=.*Attack"),
        ("mart(beta='high')", "beta='high' is not allowed"),
        ("score(smoothing=1.5)", "smoothing=1.5 is not allowed; allowed is a number between 0 and 1"),
        ("score(bn_mode='off')", "bn_mode"),
        ("fait(iterate=0)", "iterate=0 is not allowed; allowed is an integer ≥ 1"),
        ("fait(psi='cubes')", "psi"),
        ("fait(lam=-2)", "lam=-2"),
        ("mer(beta_cle=-1)", "beta_cle=-1"),
        ("fait_mer(beta_adv=None)", "beta_adv=None"),
        ("hat()", "model"),
        ("hat(model='mlp(6, 3)', h=-1)", "h=-1"),
        ("hat(model='mlp(6, 3)', gamma=-1)", "gamma=-1"),
    ],
)
def test_wrong_parameters_are_named(spec, message):
    with pytest.raises(SpecError, match=message):
        inradius.make(spec)


@pytest.mark.parametrize("spec", [*SPECS[:8], "hat(model='mlp(9, 3)')"])
def test_the_laws_of_defenses(spec):
    check_defense(spec, "linf(eps=0.1)", examples=4)


def train(spec, folder, **options):
    data = batch(48)
    # what can be learned, so that the predictions become sure
    prototypes = torch.eye(3, dtype=torch.float64).repeat(1, 2)[data.labels]
    data = attrs.evolve(data, inputs=0.5 * data.inputs + 0.3 * prototypes)
    options = {
        "epochs": 4,
        "batch_size": 6,
        "lr": 0.05,
        "schedule": "constant",
        "validation": 0,
        "device": "cpu",
    } | options
    return inradius.train(spec, network(), data, LINF, folder=folder, **options), data


def measured(model, data):
    """The mean divergence under attack, and the mean entropies of the clean and of the attacked prediction."""
    attack = inradius.make("pgd(steps=10, objective=kl(), keep_maximising=True)", Attack)
    found = attack(model, data.inputs, data.labels, LINF)
    with torch.no_grad():
        clean, attacked = model(data.inputs), model(data.inputs + found.delta)
    values = kl_divergence(attacked, of=clean), entropy(clean), entropy(attacked)
    return [float(value.mean()) for value in values]


@pytest.mark.parametrize(
    ("spec", "removed", "quantity", "sign"),
    [
        (f"trades({ATTACK})", f"trades(beta=0, {ATTACK})", 0, -1),
        (f"mart({ATTACK})", f"mart(beta=0, {ATTACK})", 0, -1),
        (f"score({ATTACK})", f"score(beta=0, {ATTACK})", 0, -1),
        (f"fait({ATTACK})", f"fait(lam=0, {ATTACK})", 0, -1),
        (f"mer(lam=2, {ATTACK})", f"mer(lam=2, beta_cle=0, {ATTACK})", 1, 1),
        (f"mer(lam=2, beta_cle=0, beta_adv=1, {ATTACK})", f"mer(lam=2, beta_cle=0, {ATTACK})", 2, 1),
        (f"fait_mer(lam=2, {ATTACK})", f"fait_mer(lam=2, beta_cle=0, {ATTACK})", 1, 1),
    ],
)
def test_training_moves_what_the_term_is_about(tmp_path, spec, removed, quantity, sign):
    found, without = (measured(*train(each, tmp_path / str(n)))[quantity] for n, each in enumerate((spec, removed)))
    assert sign * (found - without) > 0.15 * without


@pytest.mark.parametrize("update", [None, "sam()", "awp()"])
def test_training_with_mixed_labels_and_a_second_gradient(tmp_path, update):
    trained, data = train(f"fait({ATTACK})", tmp_path, transforms=["mixup()"], update=update, epochs=2)
    assert torch.isfinite(trained(data.inputs)).all()


@pytest.fixture
def standard(tmp_path):
    """A network in files, by its spec and the file of its weights."""
    (tmp_path / "net.py").write_text("from torch import nn\n\n\ndef factory():\n    return nn.Linear(6, 3)\n")
    model = nn.Linear(6, 3)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    return model, f"{tmp_path / 'net.py'}:factory", str(tmp_path / "weights.pt")


def test_the_standard_network_of_hat_is_its_files(standard):
    model, spec, weights = standard
    defense = inradius.make(f"hat(model={spec!r}, weights={weights!r})", Defense)
    x = batch(30).inputs
    torch.testing.assert_close(defense.standard_label(x), model.double()(x).argmax(1))
    assert str(defense).count("#sha256=") == 2
    assert inradius.make(str(defense)) == defense
    with open(weights, "ab") as file:
        file.write(b"\n")
    with pytest.raises(inradius.InradiusError, match="has changed"):
        inradius.make(str(defense))


def test_the_standard_network_takes_no_random_number_of_the_run():
    defense = inradius.make("hat(model='mlp(6, 5, 3)')", Defense)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    defense.standard_label(batch().inputs)
    assert torch.equal(torch.rand(3), expected)


def test_the_standard_network_is_not_trained(tmp_path):
    model, defense = network(), inradius.make("hat(model='mlp(6, 7, 3)')", Defense)
    before = defense.standard_label(batch(64).inputs)
    run = engine(tmp_path, model, defense)
    defense.loss(model, batch(), LINF, run).sum().backward()
    assert torch.equal(before, defense.standard_label(batch(64).inputs))
    assert all(parameter.grad is not None for parameter in model.parameters())


class Counted(nn.Module):
    """A network that counts its passes."""

    def __init__(self):
        super().__init__()
        self.network, self.forwards, self.backwards = network(), 0, 0

    def forward(self, x):
        self.forwards += 1
        logits = self.network(x)
        if logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, _):
        self.backwards += 1


PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "defenses" / "distance.md").read_text("utf-8")
COSTS = re.findall(r"^\| \[`(\w+)`\].*\| (\d+) F, (\d+) B", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("name", "forwards", "backwards"), COSTS)
def test_the_passes_are_those_that_the_documentation_says(tmp_path, name, forwards, backwards):
    model = Counted()
    losses(tmp_path, "hat(model='mlp(6, 3)')" if name == "hat" else f"{name}()", model=model).sum().backward()
    assert (model.forwards, model.backwards) == (int(forwards), int(backwards))
    assert len(COSTS) == 7
