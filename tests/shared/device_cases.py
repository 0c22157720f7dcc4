"""Sets, attacks, certifiers and networks for the tests that compare answers: on two devices, or of a set and its copy."""

import copy
import re
import warnings

import attrs
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

import inradius
from inradius import Certifier, InradiusError, ThreatModel

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
# few parts are bounded, and one step of ascent leaves examples to the search
BRANCHED = ((40, "linf(eps=0.03)"), (4, UNION))
# attack -> (spec, set)
ATTACKS = {
    "adv_lib": [("adv_lib('pgd_linf', steps=3)", LINF)],
    "apgd": [("apgd(steps=8, restarts=2)", LINF), ("apgd(steps=6, objective=dlr())", "l1(eps=2.0)")],
    "apgd_t": [("apgd_t(steps=5, classes=2)", L2)],
    "art": [("art('ProjectedGradientDescent', max_iter=3)", LINF)],
    "attack_cascade": [("attack_cascade(fgsm(), pgd(steps=3))", UNION)],
    "autoattack": [
        (f"autoattack('{version}', steps=3, classes=2, queries=20)", LINF) for version in ("standard", "rand")
    ],
    "bab_attack": [(f"bab_attack(seconds=None, steps=1, domains={count})", threat) for count, threat in BRANCHED],
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
    "fmn": [("fmn(steps=6)", L2), ("fmn(steps=6)", "l0(k=4, per='coordinate')")],
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
    "pdpgd": [("pdpgd(steps=6)", threat) for threat in (LINF, L2, "l1(eps=2.0)", "l0(k=4)")],
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
    "sigma_zero": [("sigma_zero(steps=6, polish=2)", "l0(k=4)")],
    "smallest": [("smallest(apgd(steps=3), searches=2)", threat) for threat in (LINF, "l0(k=4)", UNION)],
    "sparse_l1_descent": [("sparse_l1_descent(steps=4, restarts=2)", "l1(eps=2.0)")],
    "spsa": [("spsa(steps=3, samples=8)", LINF)],
    "square": [("square(queries=40)", threat) for threat in (LINF, L2, "l1(eps=2.0)")],
    "torchattacks": [("torchattacks('PGD', steps=3)", LINF)],
    "transfer": [
        ("transfer(pgd(steps=3), model='convolutional.py:network', weights='convolutional.safetensors')", LINF)
    ],
    "uniform_noise": [("uniform_noise(queries=6)", LINF)],
    "on_grid": [("on_grid(pgd(steps=2), bits=8)", L2)],
    "if_zero_gradient": [("if_zero_gradient(square(queries=20))", LINF)],
    "worst": [("worst(fgsm(), pgd(steps=3))", L2)],
    "worst_part": [("worst_part(pgd(steps=3))", UNION)],
}
ATTACK_CASES = [(name, *case) for name, cases in ATTACKS.items() for case in cases]
LIBRARIES = {"adv_lib": "adv_lib", "art": "art", "foolbox": "foolbox", "torchattacks": "torchattacks"}
CERTIFIERS = {
    "alpha": ["alpha(steps=3)", "alpha(steps=2, layers='all')"],
    "branch_and_bound": ["branch_and_bound(seconds=None)"],
    "certifier_cascade": ["certifier_cascade", "certifier_cascade(interval, seconds=600)"],
    "crown": ["crown", "crown(intersect=False, best=False)"],
    "dual": ["dual", "dual(intersect=False)"],
    "interval": ["interval"],
    "lp": ["lp"],
    "milp": ["milp(seconds=20)"],
    "projected": ["projected(projections=20)"],
}
CERTIFIED_SETS = ["linf(eps=0.02)", "union(l1(eps=0.1), l2(eps=0.05, bounds=None))", "wasserstein(eps=0.01)"]


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


def write_surrogate(folder):
    """A file of a network and one of its weights, in the folder."""
    (folder / "convolutional.py").write_text(
        "from device_cases import network as made\n\n\ndef network():\n    return made('convolutional')\n"
    )
    save_file(network("convolutional").state_dict(), folder / "convolutional.safetensors")


def certified(spec, threat, model, x):
    y = model(x).argmax(1)
    certifier, threat = inradius.make(spec, Certifier), inradius.make(threat, ThreatModel)
    with warnings.catch_warnings():
        # solvers warn of what they could not do, which is compared below
        warnings.simplefilter("ignore")
        return asked(lambda: certifier(model, x, y, threat))
