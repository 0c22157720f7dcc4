"""End to end: whatever attack, certifier, set and network come together, no attack refutes a proof."""

import itertools
import json

import attrs
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import inradius
from inradius.components.registry import entries

SETS = [
    "linf(eps=0.1)",
    "linf(eps=0.1, bounds=None)",
    "l2(eps=0.4)",
    "l2(eps=0.4, bounds=None)",
    "l1(eps=0.7)",
    "l1(eps=0.7, bounds=None)",
    "union(linf(eps=0.07), l2(eps=0.4))",
    "union(l1(eps=0.7), l2(eps=0.4, bounds=None), linf(eps=0.1, bounds=None))",
    "wasserstein(eps=0.3)",
    "l0(k=10)",
    "box(lo=-0.1, hi=0.15)",
    "patch(size=2, eps=0.3)",
    "affine(basis='colour', eps=0.3)",
    "intersection(linf(eps=0.1), l2(eps=0.2))",
]
# each projection is a program to solve, or many small steps
DEAR = ["wasserstein(eps=0.3)", "intersection(linf(eps=0.1), l2(eps=0.2))"]
COSTLY = ["wasserstein(eps=0.3, kernel=3, p=2)", "wasserstein(eps=0.3, bounds=(0, 1))"]
ATTACKS = [
    "fgsm()",
    "pgd(steps=10, restarts=2)",
    "pgd(steps=20, objective=margin())",
    "msd(steps=10)",
    "worst_part(pgd(steps=5))",
    "frank_wolfe(steps=10)",
    "frank_wolfe(steps=4, classes=2)",
    "grow(start=0.5, factor=1.5, every=3, steps=9)",
    "apgd(steps=5)",
    "square(queries=20)",
]
CERTIFIERS = ["interval()", "dual()", "dual(intersect=False)", "alpha(steps=5)", "crown(intersect=False, best=False)"]
REFEREE = "lp()"
# met by the drill of random networks, sets and radii (tests/plugins/bounds/test_drill.py), and by tests of their own
ELSEWHERE = {
    *(
        "mim",
        "r_fgsm",
        "fgsm_rs",
        "n_fgsm",
        "friendly_pgd",
        "sparse_l1_descent",
        "apgd_t",
        "bab_attack",
        "beta",
        "autoattack",
        "inradius_suite",
        "jsma",
    ),
    *(
        "deepfool",
        "cw",
        "ddn",
        "fmn",
        "ead",
        "fab",
        "fab_t",
        "pdpgd",
        "sigma_zero",
        "smallest",
        "spsa",
        "boundary",
        "hop_skip_jump",
        "pointwise",
        "transfer",
    ),
    *(
        "salt_and_pepper",
        "gaussian_noise",
        "uniform_noise",
        "restarts",
        "worst",
        "attack_cascade",
        "if_zero_gradient",
        "on_grid",
        "eot",
    ),
    *("adv_lib", "foolbox", "torchattacks", "art", "certifier_cascade", "milp", "projected", "branch_and_bound"),
}
DTYPES = [torch.float32, torch.float64]


def spread(layers, seed, dtype, gain=3.0):
    """The network with random weights that let the input matter: the usual ones are small beside the biases."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(*layers)
    for name, value in model.named_parameters():
        if value.ndim > 1:
            value.data = (gain / value[0].numel()) ** 0.5 * torch.randn(value.shape, generator=generator)
        elif name.endswith("bias"):
            value.data = 0.1 * torch.randn(value.shape, generator=generator)
    return model.to(dtype).eval()


def mlp(seed, dtype):
    layers = (nn.Flatten(), nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 3))
    return spread(layers, seed, dtype)


def convolutional(seed, dtype):
    layers = (nn.Conv2d(2, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 3))
    return spread(layers, seed, dtype, gain=12.0)


def affine(seed, dtype):
    return spread((nn.Flatten(), nn.Linear(8, 4)), seed, dtype)


NETWORKS = {"mlp": (mlp, (1, 2, 4)), "conv": (convolutional, (2, 4, 4)), "affine": (affine, (1, 2, 4))}


def examples(model, shape, seed, count=12):
    """Inputs in the box, some coordinates on its faces, with the model's own labels, one of them wrong."""
    generator = torch.Generator().manual_seed(seed)
    dtype = next(model.parameters()).dtype
    x = (1.5 * torch.rand(count, *shape, generator=generator, dtype=torch.float64) - 0.25).clamp(0, 1).to(dtype)
    with torch.no_grad():
        labels = model(x).argmax(1)
    labels[0] = (labels[0] + 1) % 3
    return inradius.Dataset.of(x, labels, name="random")


def every_pair(folder, network, threat, seed, dtype, certifiers, count=8):
    """Every attack and every certifier on every example, at three radii; the rules of the report are checked."""
    build, shape = NETWORKS[network]
    model = build(seed, dtype)
    data = examples(model, shape, seed, count)
    convex = inradius.make(threat, inradius.ThreatModel).convex
    attacks = ATTACKS if convex else [spec for spec in ATTACKS if "frank_wolfe" not in spec]
    if not all(part.convex for part in inradius.make(threat, inradius.ThreatModel).members()):
        certifiers = [spec for spec in certifiers if spec != REFEREE]
    options = {"attacks": attacks, "certifiers": certifiers, "exhaustive": True}
    reports = inradius.bracket_curve(model, data, threat, [0.1, 0.4, 1.0], folder=folder, **options)
    for report in reports:
        assert report.lower <= report.upper <= report.clean < 1
        assert report.counts["within_rounding"] == 0
        membership = report.summary()["membership"]
        assert (membership["largest_gauge"] or 0) <= 1 + 1e-5
        for example in report.examples:
            # attacks that look for the smallest radius may end outside of the set, and are refused there
            outside = [attempt.attack for attempt in example.attempts if not attempt.inside]
            assert all(inradius.make(attack, inradius.Attack).minimal for attack in outside)
            lowest = min(attempt.margin for attempt in example.attempts if attempt.inside)
            # the margin of a float32 forward pass is itself off by rounding; the bracket has confirmed in float64
            assert all(verdict.guaranteed <= lowest + 1e-5 for verdict in example.verdicts)
    return reports


def combinations():
    """Each set with each network and type; the default run sees one of them for each set, in turn, none affine and no dear set."""
    for (row, threat), (column, network) in itertools.product(enumerate(SETS), enumerate(NETWORKS)):
        for seed, dtype in enumerate(DTYPES):
            later = threat in DEAR or (row + column) % 2 or (row // 2 + seed) % 2 or network == "affine"
            name = f"{threat}-{network}-{dtype}-{seed}"
            yield pytest.param(threat, network, dtype, seed, marks=pytest.mark.slow if later else (), id=name)


@pytest.mark.parametrize(("threat", "network", "dtype", "seed"), [*combinations()])
def test_no_attack_refutes_a_proof(tmp_path, threat, network, dtype, seed):
    every_pair(tmp_path, network, threat, seed, dtype, CERTIFIERS, count=2 if threat in DEAR else 5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("threat", COSTLY)
def test_no_attack_refutes_a_proof_over_sets_of_costly_projections(tmp_path, threat, network, dtype):
    every_pair(tmp_path, network, threat, 0, dtype, CERTIFIERS)


@pytest.mark.parametrize("network", ["mlp", pytest.param("conv", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "threat", [pytest.param(spec, marks=pytest.mark.slow if spec in DEAR else ()) for spec in SETS[::2]]
)
def test_no_attack_refutes_the_referee(tmp_path, threat, network):
    pytest.importorskip("cvxpy", reason="the lp certifier needs cvxpy")
    every_pair(tmp_path, network, threat, 2, torch.float64, ["dual()", REFEREE], count=2 if threat in DEAR else 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 8))
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("threat", SETS)
def test_no_attack_refutes_a_proof_on_many_networks(tmp_path, threat, dtype, seed):
    for network in NETWORKS:
        every_pair(tmp_path / network, network, threat, seed, dtype, [*CERTIFIERS, REFEREE], count=6)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_radii_are_where_something_happens(tmp_path, network):
    """The laws above are not empty: over the radii there are proofs and broken examples."""
    counts = [report.counts for report in every_pair(tmp_path, network, SETS[0], 0, torch.float64, CERTIFIERS)]
    assert all(any(count[status] for count in counts) for status in ("certified", "attacked", "wrong"))


def test_every_first_party_set_attack_and_certifier_takes_part():
    """A set, attack or certifier that joins the first-party plugins joins these lists too."""
    named = {spec.split("(")[0] for spec in (*SETS, *ATTACKS, *CERTIFIERS, REFEREE)}
    kinds = (inradius.ThreatModel, inradius.Attack, inradius.Certifier)
    ours = {e.name for e in entries().values() if e.kind in kinds and e.build.__module__.startswith("inradius")}
    assert ours == named | ELSEWHERE


@attrs.frozen(kw_only=True)
class Shrunk(inradius.ThreatModel):
    """A set whose certificates see 0.9 of it, and whose attacks see all."""

    whole: inradius.ThreatModel
    share: float = 0.9

    @property
    def convex(self):
        return self.whole.convex

    @property
    def tight(self):
        return self.whole.tight

    def project(self, delta, x):
        return self.whole.project(delta, x)

    def linear_max(self, c, x):
        return self.whole.linear_max(c, x)

    def gauge(self, delta, x):
        return self.whole.gauge(delta, x)

    def violation(self, delta, x):
        return self.whole.violation(delta, x)

    def check_inputs(self, x):
        self.whole.check_inputs(x)

    def scaled(self, factor):
        return attrs.evolve(self, whole=self.whole.scaled(factor))

    def support(self, c, x):
        return self.share * self.whole.support(c, x)

    def support_bound(self, c, x):
        return self.share * self.whole.support_bound(c, x)

    def hull(self, x):
        lower, upper = self.whole.hull(x)
        return self.share * lower, self.share * upper

    def bound_affine(self, op, x):
        center = op(x)
        lower, upper = self.whole.bound_affine(op, x)
        return center - self.share * (center - lower), center + self.share * (upper - center)


@pytest.mark.parametrize(
    ("network", "exhaustive"),
    [
        pytest.param("mlp", False, id="mlp-audit"),
        pytest.param("affine", True, id="affine-exhaustive", marks=pytest.mark.slow),
        pytest.param("affine", False, id="affine-audit", marks=pytest.mark.slow),
        pytest.param("mlp", True, id="mlp-exhaustive", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("threat", [s for s in SETS if not s.startswith(("intersection", "l0"))])
def test_a_support_that_is_too_small_is_found_out(tmp_path, threat, network, exhaustive):
    build, shape = NETWORKS[network]
    model = build(0, torch.float64)
    data = examples(model, shape, 0, 40)
    shrunk = Shrunk(whole=inradius.make(threat, inradius.ThreatModel).scaled(0.1))
    attack = "frank_wolfe" if threat in DEAR else "pgd"
    attacks = [f"{attack}(steps=40, objective=margin())"]
    methods = {"attacks": attacks, "certifiers": ["dual()"], "exhaustive": exhaustive}
    with pytest.raises(inradius.ContradictionError, match="one of the two is wrong"):
        inradius.bracket(model, data, shrunk, folder=tmp_path, **methods)
    record = json.loads((tmp_path / "contradiction.json").read_text())
    saved = load_file(tmp_path / "contradiction.safetensors")
    x, delta = saved["x"].double()[None], saved["delta_float64"][None]
    assert shrunk.whole.contains(delta, x, tol=0.0).all()
    with torch.no_grad():
        margin = inradius.Margin()(model.eval()(x + delta), torch.tensor([record["label"]])).neg().item()
    assert margin == pytest.approx(record["margin"])
    assert margin < record["bound"] - record["error"]
    assert not (tmp_path / "report.json").exists()
    inradius.bracket(model, data, shrunk.whole, folder=tmp_path / "whole", **methods)
