"""Sets, attacks and certifiers answer on another device what they answer on the CPU, bit for bit.

The device is pretended, so that what is shown is that nothing is left on the CPU or moved there in silence. What a real one
rounds otherwise is for ``test_gpu.py``.
"""

import copy
import importlib.util
import re
import warnings
from contextlib import nullcontext

import attrs
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

import inradius
from inradius import Attack, Certifier, InradiusError, ThreatModel
from inradius.components.registry import entries
from pretend_device import NAME, pretend_device

SHAPE = (2, 4, 4)
CLASSES = 3

SETS = {
    "affine": ["affine('colour', eps=0.2)", "affine('ramps', eps=0.2, order='2', bounds=None)"],
    "box": ["box(lo=-0.1, hi=0.15)", "box(lo=-0.1, hi=0.15, bounds=None)"],
    "intersection": [
        "intersection(linf(eps=0.1), l2(eps=0.2))",
        "intersection(linf(eps=0.1), affine('ramps', eps=0.2))",
    ],
    "l0": ["l0(k=2)", "l0(k=3, per='coordinate')"],
    "l1": ["l1(eps=0.6)", "l1(eps=0.6, bounds=None)"],
    "l2": ["l2(eps=0.3)", "l2(eps=0.3, bounds=None)"],
    "linf": ["linf(eps=0.1)", "linf(eps=0.1, bounds=None)"],
    "patch": ["patch(size=2, eps=0.3)"],
    "union": ["union(linf(eps=0.07), l2(eps=0.3))", "union(l1(eps=0.7), patch(size=1, eps=0.4))"],
    "wasserstein": [
        "wasserstein(eps=0.3)",
        "wasserstein(eps=0.2, kernel=3, bounds=(0, 1))",
        "wasserstein(eps=0.2, kernel=None)",
        "wasserstein(eps=0.2, kernel=3, projection='sinkhorn')",
    ],
}

LINF, L2, UNION = "linf(eps=0.15)", "l2(eps=0.6)", "union(linf(eps=0.1), l2(eps=0.5))"
# attack -> (spec, set)
ATTACKS = {
    "apgd": [("apgd(steps=8, restarts=2)", LINF), ("apgd(steps=6, objective=dlr())", "l1(eps=2.0)")],
    "apgd_t": [("apgd_t(steps=5, classes=2)", L2)],
    "art": [("art('ProjectedGradientDescent', max_iter=3)", LINF)],
    "attack_cascade": [("attack_cascade(fgsm(), pgd(steps=3))", UNION)],
    "autoattack": [
        (f"autoattack('{version}', steps=3, classes=2, queries=20)", LINF) for version in ("standard", "rand")
    ],
    "beta": [("beta(steps=4, restarts=2)", L2)],
    "boundary": [("boundary(queries=60)", L2)],
    "cw": [("cw(searches=2, steps=5)", L2)],
    "ddn": [("ddn(steps=6)", L2)],
    "deepfool": [("deepfool(steps=5)", LINF), ("deepfool(steps=4)", "l1(eps=2.0)")],
    "ead": [("ead(searches=2, steps=5)", "l1(eps=2.0)")],
    "eot": [("eot(pgd(steps=3), samples=2)", LINF)],
    "fab": [("fab(steps=5, restarts=2)", LINF), ("fab(steps=4)", "l1(eps=2.0)")],
    "fab_t": [("fab_t(steps=5, classes=2)", L2)],
    "fgsm": [("fgsm()", UNION)],
    "fgsm_rs": [("fgsm_rs()", LINF)],
    "fmn": [("fmn(steps=6)", L2)],
    "foolbox": [("foolbox('LinfPGD', steps=3)", LINF)],
    "frank_wolfe": [("frank_wolfe(steps=4, restarts=2)", "wasserstein(eps=0.3)")],
    "friendly_pgd": [("friendly_pgd(steps=5)", LINF)],
    "gaussian_noise": [("gaussian_noise(queries=6)", L2)],
    "grow": [("grow(pgd(steps=3), steps=3)", LINF)],
    "hop_skip_jump": [("hop_skip_jump(queries=120)", L2)],
    "inradius_suite": [("inradius_suite(steps=3, probe=10, queries=20)", threat) for threat in (LINF, UNION)],
    "jsma": [("jsma()", "l0(k=4)")],
    "mim": [("mim(steps=4)", LINF)],
    "msd": [("msd(steps=4, restarts=2)", UNION)],
    "n_fgsm": [("n_fgsm()", LINF)],
    "pgd": [
        ("pgd(steps=5, restarts=2, random_start=True)", UNION),
        ("pgd(steps=4, objective=margin())", "intersection(linf(eps=0.15), l2(eps=0.5))"),
        ("pgd(steps=4)", "l0(k=3)"),
        ("pgd(steps=4)", "patch(size=2, eps=0.4)"),
        ("pgd(steps=4, objective=kl())", LINF),
    ],
    "pointwise": [("pointwise(queries=60)", "l0(k=4)")],
    "r_fgsm": [("r_fgsm()", L2)],
    "restarts": [("restarts(fgsm_rs(), n=2)", LINF)],
    "salt_and_pepper": [("salt_and_pepper(queries=40)", "l0(k=6)")],
    "sparse_l1_descent": [("sparse_l1_descent(steps=4, restarts=2)", "l1(eps=2.0)")],
    "spsa": [("spsa(steps=3, samples=8)", LINF)],
    "square": [("square(queries=40)", threat) for threat in (LINF, L2, "l1(eps=2.0)")],
    "torchattacks": [("torchattacks('PGD', steps=3)", LINF)],
    "transfer": [
        ("transfer(pgd(steps=3), model='convolutional.py:network', weights='convolutional.safetensors')", LINF)
    ],
    "uniform_noise": [("uniform_noise(queries=6)", LINF)],
    "if_zero_gradient": [("if_zero_gradient(square(queries=20))", LINF)],
    "worst": [("worst(fgsm(), pgd(steps=3))", L2)],
    "worst_part": [("worst_part(pgd(steps=3))", UNION)],
}
LIBRARIES = {"art": "art", "foolbox": "foolbox", "torchattacks": "torchattacks"}

CERTIFIERS = {
    "alpha": ["alpha(steps=3)", "alpha(steps=2, layers='all')"],
    "certifier_cascade": ["certifier_cascade"],
    "crown": ["crown", "crown(intersect=False, best=False)"],
    "dual": ["dual", "dual(intersect=False)"],
    "interval": ["interval"],
    "lp": ["lp"],
    "milp": ["milp(seconds=20)"],
    "projected": ["projected(projections=20)"],
}
CERTIFIED_SETS = ["linf(eps=0.02)", "union(l1(eps=0.1), l2(eps=0.05, bounds=None))", "wasserstein(eps=0.01)"]

# What is not the same algorithm on both devices, so that the bits differ, and by how much they may.
OTHERWISE = {
    # the exact projection factors a band with LAPACK on the CPU, and a dense matrix elsewhere; both stop within a gap of 1e-10
    ("wasserstein", "project"): 1e-5,
}


class Attention(nn.Module):
    """Tokens of the image's rows, one head of attention with a skip connection, and LayerNorm."""

    def __init__(self):
        super().__init__()
        self.token, self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(4))
        self.norm, self.out = nn.LayerNorm(8), nn.Linear(32, CLASSES)

    def forward(self, x):
        h = self.token(x.transpose(1, 2).flatten(2))
        scores = (self.query(h) @ self.key(h).transpose(1, 2) / 8**0.5).softmax(-1)
        h = h + scores @ self.value(h)
        return self.out(self.norm(h).flatten(1))


class Residual(nn.Module):
    """Convolutions with a skip connection between them, BatchNorm and a curve."""

    def __init__(self):
        super().__init__()
        self.stem, self.inner = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm, self.out = nn.BatchNorm2d(3), nn.Linear(12, CLASSES)

    def forward(self, x):
        h = F.relu(self.norm(self.stem(x)))
        h = torch.tanh(h + self.inner(h))
        return self.out(F.avg_pool2d(h, 2).flatten(1))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 3, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12, CLASSES),
    )


NETWORKS = {"convolutional": convolutional, "residual": Residual, "attention": Attention}


def network(name):
    """One of the networks, with statistics of its own and logits that differ, in eval mode."""
    torch.manual_seed(4)
    model = NETWORKS[name]()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return model.eval()


def images(count=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(2)
    return torch.rand(count, *SHAPE, generator=generator, dtype=torch.float64).to(dtype)


def to(thing, device):
    """A tensor or a module on the device; the module is a copy."""
    return copy.deepcopy(thing).to(device) if isinstance(thing, nn.Module) else thing.to(device)


def leaves(answer, name=""):
    """What an answer consists of, by its place in it."""
    if attrs.has(type(answer)):
        answer = {field.name: getattr(answer, field.name) for field in attrs.fields(type(answer))}
    if isinstance(answer, tuple | list):
        answer = dict(enumerate(answer))
    if not isinstance(answer, dict):
        return {name: answer}
    return {place: leaf for key, part in answer.items() for place, leaf in leaves(part, f"{name}.{key}").items()}


def asked(function):
    """The function's answer, or the sentence with which it is refused, without the line of code that it may name.

    That line is the innermost outside of torch, which in the block of the pretended device is one of the device's.
    """
    try:
        return function()
    except InradiusError as error:
        return re.sub(r" \(\S+\.py:\d+\)", "", str(error))


def check_same(found, expected, device, otherwise=lambda place: 0.0):
    """Both answers are equal, of tensors every bit, and the tensors of the first are on the device."""
    found, expected = leaves(found), leaves(expected)
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        if not isinstance(value, torch.Tensor):
            assert found[place] == value, place
            continue
        mine = found[place]
        assert mine.device.type == device, f"{place} is on {mine.device}"
        assert (mine.dtype, mine.shape) == (value.dtype, value.shape), place
        limit = otherwise(place)
        torch.testing.assert_close(mine.detach().cpu(), value.detach(), rtol=0, atol=limit, equal_nan=True, msg=place)


def block(device):
    return pretend_device() if device == NAME else nullcontext()


def on_both(answer, *things):
    """The answers on the pretended device and on the CPU, of the same things."""
    expected = answer(*(to(thing, "cpu") for thing in things))
    with pretend_device():
        found = answer(*(to(thing, NAME) for thing in things))
    return found, expected


class Mixing(nn.Linear):
    """An affine map of the images as sets see it: a convolution's rows, spelled out."""

    exact_interval = False

    def __init__(self):
        torch.manual_seed(3)
        super().__init__(32, 6)

    @property
    def out_shape(self):
        return torch.Size([6])

    def forward(self, x):
        return super().forward(x.flatten(1))

    def adjoint(self, rows):
        return (rows @ self.weight).unflatten(-1, SHAPE)

    def interval(self, lower, upper):
        middle, half = (lower + upper) / 2, (upper - lower).flatten(1) / 2
        return self(middle) - half @ self.weight.abs().T, self(middle) + half @ self.weight.abs().T

    def unit_rows(self, index, dtype):
        return self.weight.to(dtype)[index].unflatten(-1, SHAPE)

    def local_rows(self):
        return None

    def filters(self, like):
        return None


class Sliding(Mixing):
    """A convolution as sets see it, with windows of few inputs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, stride=2, padding=1)
        with torch.no_grad():
            unit = torch.eye(32).view(32, *SHAPE)
            self.weight = nn.Parameter((self.conv(unit) - self.conv(torch.zeros_like(unit))).flatten(1).T.contiguous())
            self.bias = nn.Parameter(self.conv(torch.zeros(1, *SHAPE)).flatten())

    @property
    def out_shape(self):
        return torch.Size([2, 2, 2])

    def forward(self, x):
        return self.conv(x)

    def local_rows(self):
        weights, index = self.weight.abs().topk(18, dim=1)
        return torch.where(weights > 0, index, -1), self.weight.gather(1, index)

    def filters(self, like):
        return self.conv.weight.to(like), (2, 2), (2, 2), (1, 1)


def oracles(threat, x, c, delta, factors):
    """Everything that a set answers, and what the same set with a radius for each example does, by the oracle's name."""
    answers = {}
    sets = {"": threat, " each": threat.per_example(factors)}
    for name, each in sets.items():
        streams = inradius.ExampleRNG(5, torch.arange(len(x), device=x.device))
        for oracle, question in {
            "project": lambda each=each: each.project(delta, x),
            "linear_max": lambda each=each: each.linear_max(c[:, 0], x),
            "support": lambda each=each: each.support(c, x),
            "support_bound": lambda each=each: each.support_bound(c, x),
            "span": lambda each=each: each.span(c, x),
            "gauge": lambda each=each: (each.gauge(delta, x), each.gauge(each.linear_max(c[:, 0], x), x)),
            "violation": lambda each=each: each.violation(delta, x),
            "contains": lambda each=each: each.contains(each.linear_max(c[:, 0], x), x),
            "steepest": lambda each=each, rng=streams: each.steepest(c[:, 0], x, delta, rng=rng),
            "sample": lambda each=each, rng=streams: (each.sample(x), each.sample(x, rng=rng)),
            "hull": lambda each=each: each.hull(x),
            "select": lambda each=each: each.select(factors > 0.8).gauge(delta[factors > 0.8], x[factors > 0.8]),
            "sketch": lambda each=each: each.sketch(x),
            "members": lambda each=each: [part.gauge(delta, x) for part in each.members()],
        }.items():
            answers[oracle + name] = asked(question)
    for op in (Mixing(), Sliding()):
        op = op.to(x)
        for name, each in sets.items():
            answers[f"bound_affine {type(op).__name__}{name}"] = asked(
                lambda each=each, op=op: each.bound_affine(op, x)
            )
    return answers


def gradient_of_support(threat, x, c):
    c = c.clone().requires_grad_()
    return torch.autograd.grad(threat.support(c, x).sum(), c)[0]


def directions(count, dtype):
    generator = torch.Generator().manual_seed(6)
    return torch.randn(count, 3, *SHAPE, generator=generator, dtype=torch.float64).to(dtype)


def set_cases(dtype):
    x, c = images(dtype=dtype), directions(4, dtype)
    return x, c, 0.3 * c[:, 1], torch.tensor([1.0, 0.5, 1.0, 0.5])


# an answer of these takes thousands of small steps, each of which takes the pretended device its time
SLOW = {"intersection(linf(eps=0.1), affine('ramps', eps=0.2))", "wasserstein(eps=0.2, kernel=3, bounds=(0, 1))"}
SPECS = [
    pytest.param(name, spec, marks=pytest.mark.slow if spec in SLOW else ())
    for name, specs in SETS.items()
    for spec in specs
]


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "spec"), SPECS)
def test_sets(name, spec, dtype):
    threat = inradius.make(spec, ThreatModel)
    found, expected = on_both(lambda *case: oracles(threat, *case), *set_cases(dtype))
    assert sum(not isinstance(answer, str) for answer in expected.values()) > len(expected) / 2, expected
    check_same(found, expected, NAME, lambda place: OTHERWISE.get((name, place[1:].split(" ")[0].split(".")[0]), 0.0))


@pytest.mark.parametrize(("name", "spec"), SPECS)
def test_gradients_of_support(name, spec):
    threat = inradius.make(spec, ThreatModel)
    x, c, *_ = set_cases(torch.float64)
    found, expected = on_both(lambda x, c: asked(lambda: gradient_of_support(threat, x, c)), x, c)
    check_same(found, expected, NAME)


@pytest.fixture
def surrogate(tmp_path, monkeypatch):
    """A file of a network and one of its weights, in the folder where the test runs."""
    (tmp_path / "convolutional.py").write_text(
        "from test_devices import network as made\n\n\ndef network():\n    return made('convolutional')\n"
    )
    save_file(network("convolutional").state_dict(), tmp_path / "convolutional.safetensors")
    monkeypatch.chdir(tmp_path)


def attacked(spec, threat, model, x, dtype=torch.float32):
    """What the attack finds on the examples with their own labels, and on one aimed at."""
    y = model(x).argmax(1)
    attack, threat = inradius.make(spec, Attack), inradius.make(threat, ThreatModel)
    trace = []
    answer = attack(model, x, y, threat, observe=lambda step, delta: trace.append(delta.clone()))
    goal = asked(lambda: attack(model, x, y, threat, goal=(y + 1) % CLASSES))
    return {"answer": answer, "goal": goal, "trace": trace}


ATTACK_CASES = [(name, *case) for name, cases in ATTACKS.items() for case in cases]


@pytest.mark.parametrize("model", ["convolutional", pytest.param("attention", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "spec", "threat"), ATTACK_CASES)
def test_attacks(name, spec, threat, model, surrogate):
    if name in LIBRARIES and importlib.util.find_spec(LIBRARIES[name]) is None:
        pytest.skip(f"{LIBRARIES[name]} is not installed")
    found, expected = on_both(lambda *case: attacked(spec, threat, *case), network(model), images(3))
    check_same(found, expected, NAME)


def certified(spec, threat, model, x):
    y = model(x).argmax(1)
    certifier, threat = inradius.make(spec, Certifier), inradius.make(threat, ThreatModel)
    with warnings.catch_warnings():
        # solvers warn of what they could not do, which is compared below
        warnings.simplefilter("ignore")
        return asked(lambda: certifier(model, x, y, threat))


def certifier_cases():
    """Each certifier with each network and set, of which most are for ``-m slow``."""
    cases = []
    for spec in (spec for specs in CERTIFIERS.values() for spec in specs):
        for model in NETWORKS:
            for threat in CERTIFIED_SETS:
                first = (model == "convolutional") + (threat == CERTIFIED_SETS[0])
                quick = first == 2 or (first == 1 and spec in ("interval", "crown") and "wasserstein" not in threat)
                cases.append(pytest.param(spec, model, threat, marks=() if quick else pytest.mark.slow))
    return cases


@pytest.mark.parametrize(("spec", "model", "threat"), certifier_cases())
def test_certifiers(spec, model, threat):
    found, expected = on_both(lambda *case: certified(spec, threat, *case), network(model), images(2))
    check_same(found, expected, NAME)


@pytest.mark.parametrize("spec", ["dual", "crown", "alpha(steps=2)"])
def test_bounds_to_train_on(spec):
    certifier, threat = inradius.make(spec, Certifier), inradius.make("linf(eps=0.02)", ThreatModel)

    def gradients(model, x):
        y = model(x).argmax(1)
        bound = certifier.bound(model, x, y, threat)
        return [bound, *torch.autograd.grad(bound.sum(), list(model.parameters()), allow_unused=True)]

    found, expected = on_both(gradients, network("convolutional"), images(2))
    check_same(found, expected, NAME)


@pytest.mark.parametrize("name", CERTIFIERS)
def test_every_certifier_certifies_one_of_the_networks(name):
    for spec in CERTIFIERS[name]:
        found = certified(spec, CERTIFIED_SETS[0], network("convolutional"), images(2))
        assert not isinstance(found, str), found
        assert bool(found.certified.any()), (spec, found)


@pytest.mark.parametrize(("kind", "cases"), [(ThreatModel, SETS), (Attack, ATTACKS), (Certifier, CERTIFIERS)])
def test_every_component_has_a_case(kind, cases):
    known = {name for name, entry in entries().items() if entry.kind is kind and "inradius" in entry.origin}
    assert known <= set(cases), f"give the new component a case in tests/test_devices.py: {sorted(known - set(cases))}"
    assert set(cases) <= known, f"no such component any more: {sorted(set(cases) - known)}"
